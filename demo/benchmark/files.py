"""A benchmark's table and figures as files, and pictures of it for Detect."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from demo.benchmark.runs import Look, Run
from demo.benchmark.view import FIGURES, caption, shown
from demo.page.downloads import new_file
from demo.page.words import text
from setar_core.benchmark.about import About
from setar_core.benchmark.tables import as_csv, as_latex, as_markdown, results

if TYPE_CHECKING:
    from setar_core.benchmark.mistakes import Scored

KINDS = {"csv": "CSV", "json": "JSON", "md": "Markdown", "tex": "LaTeX"}
LINE = 140  # characters of a caption


def saved(run: Run, kind: str) -> str:
    """The path of a new file, `kind` one of `KINDS`."""
    writers = {"csv": as_csv, "md": as_markdown, "tex": as_latex}
    if kind == "json":
        text = json.dumps(results(run.bench, run.rows), indent=2, allow_nan=False) + "\n"
    else:
        text = writers[kind](run.rows, About.of(run.bench))
    return _written(f"benchmark.{kind}", text)


def figure_page(run: Run, look: Look, figure: str) -> str:
    """The path of an HTML file that holds the figure, its data and all that draws it.

    Raises:
        ValueError: there is no such figure.
    """
    if figure not in FIGURES:
        raise ValueError(f"there is no figure {figure[:40]!r}; choose one of {', '.join(FIGURES)}")
    drawn = getattr(shown(run, look, moved=True), figure)
    lines = textwrap.wrap(caption(About.of(run.bench), look), LINE)
    drawn.add_annotation(
        text="<br>".join(map(text, lines)), x=0, y=0, yshift=-100, xref="paper", yref="paper",
        xanchor="left", yanchor="top", align="left", showarrow=False, font={"size": 11},
    )  # fmt: skip
    drawn.update_layout(
        title=text(f"{FIGURES[figure]}: {', '.join((*look.detection, look.ood))}"),
        paper_bgcolor="white",
        plot_bgcolor="white",
        font={"color": "#1b2129"},
        margin={"l": 70, "r": 20, "t": 40, "b": 120 + 15 * len(lines)},
        height=560 + 15 * len(lines),
    )
    return _written(f"{figure}.html", drawn.to_html(include_plotlyjs=True, full_html=True))


def copies(found: Sequence[Scored]) -> list[str]:
    """The paths of copies of pictures, among the uploads.

    Raises:
        ValueError: one is gone.
    """
    paths = []
    for path in (one.path for one in found):
        try:
            paths.append(str(shutil.copy(path, new_file(path.name))))
        except OSError:
            raise ValueError(f"{path.name} is no longer here; run the benchmark again") from None
    return paths


def _written(name: str, text: str) -> str:
    path = new_file(name)
    path.write_text(text, encoding="utf-8")
    return str(path)
