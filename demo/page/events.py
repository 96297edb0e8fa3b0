"""What the events of every tab share."""

from __future__ import annotations

from typing import Any

import gradio as gr

# Options of an event of the page itself: no overlay, and no endpoint for clients.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
FAST = {**QUIET, "trigger_mode": "always_last"}  # what comes while one is at work: the last of it
FORGOTTEN: dict = {}  # for a browser, names nothing; one that is told None keeps what it has
KEEP = gr.skip()
