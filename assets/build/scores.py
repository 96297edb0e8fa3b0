"""Writes README's table of scores from the catalogue: `python -m assets.build.scores`.

A test holds README against the catalogue.
"""

from __future__ import annotations

from pathlib import Path

from setar_core.scores.catalogue import as_markdown

FILE = Path(__file__).resolve().parents[2] / "README.md"


def with_table(text: str) -> str:
    """README with the catalogue's table in place of the first one under "## Scores"."""
    before, heading, after = text.partition("## Scores\n")
    lines = after.splitlines(keepends=True)
    rows = [i for i, line in enumerate(lines) if line.startswith("|")]
    end = next((i for i in rows if not lines[i + 1].startswith("|")), rows[-1])
    return before + heading + "".join([*lines[: rows[0]], as_markdown(), *lines[end + 1 :]])


def main() -> None:
    FILE.write_text(with_table(FILE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
