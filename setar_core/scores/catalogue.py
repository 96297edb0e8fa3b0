"""The catalogue of scores as people read it: what each group needs, and README's table."""

from __future__ import annotations

from . import SCORES

# By `Score.group`, in the order in which lists show them.
GROUPS = {
    "nothing": "nothing else",
    "negatives": "negative labels",
    "ID images": "ID images to learn from",
}


def as_markdown() -> str:
    """A line a score: name, question, formula, what it needs, source."""
    lines = ["| score | question | formula | needs | source |", "|---|---|---|---|---|"]
    for name, score in SCORES.items():
        formula = score.formula.replace("|", "\\|")
        needs = "" if score.group == "nothing" else score.group
        lines.append(
            f"| `{name}` | {score.question} | {formula} | {needs} | {_link(score.source)} |"
        )
    return "".join(f"{line}\n" for line in lines)


def _link(source: str) -> str:
    number = source.removeprefix("arXiv:")
    return source if number == source else f"[{number}](https://arxiv.org/abs/{number})"
