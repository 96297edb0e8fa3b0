"""Names out of a list as people keep it: lines, tables, class indices of other libraries.

What is certain is read; of anything else a ValueError says what it looks like.
"""

from __future__ import annotations

import ast
import csv
import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, NoReturn

HEAD = re.compile(r"(label|class|category)[ _]?(names?)?|names?|labels|(class|categori)es", re.I)
INDICES = ("id2label", "label_names", "class_names", "names", "classes", "categories")
SEPARATORS = ("\t", ",", ";", "|")
BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols without a picture
TAGS = range(0xE0000, 0xE0080)  # some flags end with these

SYNSET = re.compile(r"n\d{8}")  # of WordNet, as ImageNet calls its classes
BULLET = re.compile(r"(?:[-*+•]|\\item)\s+(\S.*)")
QUOTED = re.compile(r"([\"'])(.+)\1,?")
SYNSET_FIRST = re.compile(r"(n\d{8})[\s,:;]\s*(\S.*)")
NUMBER_FIRST = re.compile(r"(\d+)(?:\s*[:,;)\t]|\.\s)\s*(\S.*)")
NUMBER_LAST = re.compile(r"(.*\S)\s*[:,;\t]\s*(\d+)")
TITLE = re.compile(r"\w+\s*:")
RULE = re.compile(r":?-+:?")
HTML = re.compile(r"<(\?xml|!doctype|/?(html|[uod]l|li|table|select|option)\b)", re.IGNORECASE)
BRACKETS = {"[": "]", "{": "}"}


def names_in(text: str, kind: str = "") -> tuple[str, ...]:
    """The names of a list, in their order.

    Args:
        kind: of a file, `.json`, `.csv` or `.tsv`; of any other the text itself tells.

    Raises:
        ValueError: it cannot be told what the names are; says what the text looks like.
    """
    text = bare(text)
    if kind == ".json" or (text and BRACKETS.get(text[0]) == text[-1]):
        names = names_of(_parsed(text))
    else:
        lines = [line for line in map(bare, text.splitlines()) if line]
        if lines and HTML.match(lines[0]):
            _refuse("HTML or XML")
        lines = _unmarked(lines)
        rows = _rows(lines, kind in (".csv", ".tsv"))
        names = _of_lines(lines) if rows is None else _of_table(rows)
    if names and all(map(SYNSET.fullmatch, names)):
        _refuse("ids of WordNet without their names")
    return tuple(map(bare, names))


def bare(text: str) -> str:
    """Without white space and characters that have no picture at both ends."""
    start, end = 0, len(text)
    while start < end and _is_unseen(text[start]):
        start += 1
    while start < end and _is_unseen(text[end - 1]) and ord(text[end - 1]) not in TAGS:
        end -= 1
    return text[start:end]


def is_visible(text: str) -> bool:
    """Whether anybody can see it: a mark or a selector needs something that it changes."""
    return any(not _is_unseen(c) and unicodedata.category(c)[0] != "M" for c in text)


def _is_unseen(character: str) -> bool:
    return character in BLANK or unicodedata.category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp")


def _parsed(text: str) -> Any:
    """JSON, or a literal of Python's."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, SystemError):
        raise ValueError(f"it is not JSON ({reason}); give a list of labels") from None


def names_of(page: Any) -> list[str]:
    """Those of a JSON value: a list, or a class index from number to name or from name to number.

    Raises:
        ValueError: it is neither; says what it looks like.
    """
    if isinstance(page, dict):
        for key in INDICES:
            if isinstance(page.get(key), (dict, list)):
                return names_of(page[key])
        if page and all(map(_is_count, page)):
            return names_of([page[key] for key in _in_order(list(page))])
        named = bool(page) and all(isinstance(key, str) for key in page)
        if named and all(map(_is_count, page.values())):
            names = {int(place): name for name, place in page.items()}
            if len(names) == len(page):
                return [names[int(place)] for place in _in_order(list(page.values()))]
        if named and all(map(SYNSET.fullmatch, page)):
            return names_of(list(page.values()))
        _refuse(f"an object with {_some(page)}")
    if isinstance(page, (list, tuple)):
        rows = list(page)
        if all(isinstance(row, dict) for row in rows):
            rows = [row.get("name") for row in rows]
        elif all(_is_pair(row) and SYNSET.fullmatch(str(row[0])) for row in rows):
            rows = [row[1] for row in rows]
        if all(isinstance(row, str) for row in rows):
            return rows
    raise ValueError('it must hold a JSON list of labels, ["cat", "dog"], or a class index')


def _unmarked(lines: list[str]) -> list[str]:
    """Without the marks of a list in Markdown, YAML or LaTeX, and without quotes."""
    rest = lines[1:]
    if rest and TITLE.fullmatch(lines[0]) and (_all(BULLET, rest) or _all(NUMBER_FIRST, rest)):
        lines = rest
    for pattern in (BULLET, QUOTED):
        if matches := _all(pattern, lines):
            lines = [bare(match[pattern.groups]) for match in matches]
    return lines


def _rows(lines: list[str], is_table: bool) -> list[list[str]] | None:
    """The cells of a table; None of what is none."""
    if not lines:
        return None
    if all(line.startswith("|") and line.endswith("|") for line in lines):
        lines = [line[1:-1] for line in lines]
    heads = {mark: [cell.strip() for cell in lines[0].split(mark)] for mark in SEPARATORS}
    headed = [
        mark
        for mark in SEPARATORS
        if len(heads[mark]) > 1 and any(map(HEAD.fullmatch, heads[mark]))
    ]
    if not headed and not is_table:
        return None
    marks = headed or [mark for mark in SEPARATORS if mark in lines[0]] or [","]
    try:
        rows = [next(csv.reader([line], delimiter=marks[0], strict=True)) for line in lines]
    except csv.Error as error:
        _refuse(f"a table that cannot be read ({error})")
    rows = [[cell.strip() for cell in row] for row in rows]
    rows = [row for row in rows if not all(map(RULE.fullmatch, row))]
    if any(len(row) != len(rows[0]) for row in rows):
        if not is_table:
            return None  # a list whose first label happens to have a comma
        _refuse("a table whose lines have different numbers of cells")
    return rows


def _of_table(rows: list[list[str]]) -> list[str]:
    """The one column of names: the one that is called so, or the one beside the ids."""
    called = [i for i, cell in enumerate(rows[0]) if HEAD.fullmatch(cell)]
    columns = list(zip(*(rows[1:] if called else rows), strict=True))
    if not columns:
        _refuse("the first line of a table, and no more")
    names = [i for i, column in enumerate(columns) if not _are_ids(column)]
    if called:
        names = [i for i in called if i in names] or called
    if len(names) != 1 or (not called and len(columns) > 2):
        _refuse(f"a table with the columns {_some(rows[0])}; call the one of the names name")
    return list(columns[names[0]])


def _of_lines(lines: list[str]) -> list[str]:
    """Without ids and numbers that run with the lines."""
    if matches := _all(SYNSET_FIRST, lines):
        return [match[2] for match in matches]
    if any(map(SYNSET_FIRST.fullmatch, lines)):
        _refuse("ids of WordNet before some of the names")
    for pattern, number in ((NUMBER_FIRST, 1), (NUMBER_LAST, 2)):
        if (matches := _all(pattern, lines)) and len(lines) > 1:
            numbers = [match[number] for match in matches]
            if _in_order(numbers) != numbers:
                _refuse("numbers and names, not in the order of the numbers")
            return [match[3 - number] for match in matches]
    return lines


def _in_order(numbers: Sequence[Any]) -> list[Any]:
    """By their values, which are 0, 1, 2 ... or 1, 2, 3 ..."""
    ordered = sorted(numbers, key=int)
    values = list(map(int, ordered))
    if values not in (list(range(len(values))), list(range(1, len(values) + 1))):
        _refuse(f"an index with the numbers {_some(values)}, which do not run from 0 or 1")
    return ordered


def _all(pattern: re.Pattern[str], lines: list[str]) -> list[re.Match[str]]:
    """The matches of all lines; none where one is different."""
    found = [match for line in lines if (match := pattern.fullmatch(line))]
    return found if len(found) == len(lines) else []


def _are_ids(cells: Sequence[str]) -> bool:
    return all(map(str.isdecimal, cells)) or all(map(SYNSET.fullmatch, cells))


def _is_count(value: Any) -> bool:
    """A whole number, or its decimal digits; few enough for any index."""
    return (type(value) is int and 0 <= value < 10**9) or (
        isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10
    )


def _is_pair(row: Any) -> bool:
    return isinstance(row, (list, tuple)) and len(row) == 2


def _some(values: Any) -> str:
    shown = [repr(str(value)[:40]) for value in list(values)[:4]]
    return ", ".join(shown) + (", ..." if len(values) > 4 else "")


def _refuse(looks: str) -> NoReturn:
    raise ValueError(f"it looks like {looks}; write one label a line")
