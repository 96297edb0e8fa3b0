"""What the events of every tab share."""

from __future__ import annotations

import gradio as gr

FORGOTTEN: dict = {}  # for a browser, names nothing; one that is told None keeps what it has


KEEP = gr.skip()
