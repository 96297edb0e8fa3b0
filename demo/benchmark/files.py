"""A benchmark's table and figures as files, and a picture of it for Detect."""

from __future__ import annotations

import json
import shutil

from demo.benchmark.runs import Look, Run
from demo.benchmark.view import mistakes, shown
from demo.page.downloads import new_file
from demo.page.words import text
from setar_core.benchmark.tables import as_csv, as_latex, as_markdown, results

KINDS = {"csv": "CSV", "json": "JSON", "md": "Markdown", "tex": "LaTeX"}
FIGURES = {"scores": "Scores", "roc": "ROC", "precision": "Precision and recall"}
MARGIN = {"l": 70, "r": 20, "t": 40, "b": 70}


def saved(run: Run, kind: str) -> str:
    """The path of a new file, `kind` one of `KINDS`."""
    writers = {"csv": as_csv, "md": as_markdown, "tex": as_latex}
    if kind == "json":
        text = json.dumps(results(run.bench, run.rows), indent=2, allow_nan=False) + "\n"
    else:
        text = writers[kind](run.rows)
    return _written(f"benchmark.{kind}", text)


def figure_page(run: Run, look: Look, figure: str) -> str:
    """The path of an HTML file that holds the figure, its data and all that draws it.

    Raises:
        ValueError: there is no such figure.
    """
    if figure not in FIGURES:
        raise ValueError(f"there is no figure {figure[:40]!r}; choose one of {', '.join(FIGURES)}")
    drawn = getattr(shown(run, look, moved=True), figure)
    drawn.update_layout(
        title=text(f"{FIGURES[figure]}: {', '.join((*look.detection, look.ood))}"),
        paper_bgcolor="white",
        plot_bgcolor="white",
        font={"color": "#1b2129"},
        margin=MARGIN,
        height=520,
    )
    return _written(f"{figure}.html", drawn.to_html(include_plotlyjs=True, full_html=True))


def picture(run: Run, look: Look, index: int) -> str:
    """The path of a copy of one of the mistakes, among the uploads.

    Raises:
        ValueError: there is no such picture, or it is gone.
    """
    found = mistakes(run, look)
    if not 0 <= index < len(found):
        raise ValueError("this picture is no longer among the mistakes; choose another")
    path = found[index].path
    try:
        return str(shutil.copy(path, new_file(path.name)))
    except OSError:
        raise ValueError(f"{path.name} is no longer here; run the benchmark again") from None


def _written(name: str, text: str) -> str:
    path = new_file(name)
    path.write_text(text, encoding="utf-8")
    return str(path)
