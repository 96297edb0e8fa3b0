"""The smallest parts that every tab is made of."""

from __future__ import annotations

import gradio as gr

PICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('select', { index: Number(button.dataset.index) });
});
"""


def head(title: str, sentence: str) -> None:
    """A heading and what the part below is for."""
    gr.HTML(f"<h2>{title}</h2><p>{sentence}</p>", elem_classes="section")
