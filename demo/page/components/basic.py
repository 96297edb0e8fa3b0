"""The smallest parts that every tab is made of."""

from __future__ import annotations

from demo.page.components.heading import Heading

PICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('select', { index: Number(button.dataset.index) });
});
"""


def head(title: str, sentence: str) -> None:
    """A heading and what the part below is for."""
    Heading((title, sentence), elem_classes="section")
