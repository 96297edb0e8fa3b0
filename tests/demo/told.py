"""What a component is given, as the words of it."""

import re

from demo.page.notices import Notice


def words(value) -> str:
    """All the words: of markup without its tags, of plain data one after another."""
    if isinstance(value, str):
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", value)).replace("\u00a0", " ")
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, (list, tuple)) or hasattr(value, "__iter__"):
        return " ".join(map(words, value))
    return "" if value is None else f"{value}"


def is_bad(value) -> bool:
    """Whether something went wrong, by one of the notices."""
    notices = [value] if isinstance(value, Notice) else value
    return any(notice.kind == "bad" for notice in notices or ())
