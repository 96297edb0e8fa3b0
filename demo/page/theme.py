"""The look: system fonts, two accents, and a style sheet. Nothing is fetched from elsewhere."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).resolve().parent
CSS = FOLDER / "page.css"
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Quiet greys; blue for what is in-distribution and for the one main button."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        secondary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=gr.themes.sizes.text_md,
        font=SANS,
        font_mono=MONO,
    ).set(
        body_background_fill="#f6f7f9",
        body_background_fill_dark="#0f1318",
        body_text_color_subdued="#545c68",
        body_text_color_subdued_dark="#a3adba",
        block_background_fill="#ffffff",
        block_background_fill_dark="#171c23",
        block_border_color="#dfe3e8",
        block_border_color_dark="#2a323c",
        block_info_text_color="#545c68",
        block_info_text_color_dark="#a3adba",
        block_label_text_color="#2b323c",
        block_label_text_color_dark="#d5dbe3",
        block_label_background_fill="#ffffff",
        block_label_background_fill_dark="#171c23",
        block_title_text_color="#2b323c",
        block_title_text_color_dark="#d5dbe3",
        block_title_text_weight="600",
        block_shadow="none",
        button_primary_background_fill="#0b62a8",
        button_primary_background_fill_hover="#084f89",
        button_primary_background_fill_dark="#1f78c4",
        button_primary_background_fill_hover_dark="#2b87d6",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        input_background_fill="#ffffff",
        input_background_fill_dark="#10151b",
        input_border_width="1px",
        input_border_color="#c9d0d8",
        input_border_color_dark="#38424e",
        input_placeholder_color="#667080",
        input_placeholder_color_dark="#8b96a4",
        slider_color="#0b62a8",
        slider_color_dark="#4da3e0",
    )


def head() -> str:
    """Paste and the outer frame: a script and a style of our own."""
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    frame = (FOLDER / "frame.css").read_text(encoding="utf-8")
    scheme = '<meta name="color-scheme" content="light dark">'
    return f"{scheme}<style>{frame}</style><script>{script}</script>"
