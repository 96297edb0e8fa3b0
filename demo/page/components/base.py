"""What every part of the page is made of: a class with a template, a style and a script beside it.

`template.html` is a JavaScript template literal over `value`; `${value.rows.map(...).join("")}` is
how a list is written. Gradio runs Handlebars over it first, and over what Handlebars made the
literal, so that words in `{{ }}` would run as a program: no template has any. `style.css` holds for
the component alone, its rules nested under it (`.dark &` where the page is dark). `script.js` runs
once for each component, with `element`, `trigger`, `watch` and `props`; elements come and go, so it
listens on `element`.
"""

from __future__ import annotations

import inspect
from abc import ABCMeta
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any

import gradio as gr

from demo.page.words import text


class _WithoutStub(type(gr.HTML)):
    """Makes the class without Gradio's type stub, a `.pyi` written beside its source."""

    def __new__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> type:
        return ABCMeta.__new__(cls, name, bases, attrs)


class Part(gr.HTML, metaclass=_WithoutStub):
    """HTML from a value of plain data, whose every string arrives in the browser escaped.

    The value is made of named tuples, mappings, sequences, strings and numbers; nothing is drawn
    where it is empty. A part has the template that is nearest to its class, and the styles and
    scripts of all the classes that it comes from.
    """

    def __init__(self, value: Any = None, **options: Any) -> None:
        template = _beside(type(self), "template.html")[-1].strip()
        super().__init__(
            value,
            html_template=f'${{value ? `{template}` : ""}}',
            css_template="\n".join(_beside(type(self), "style.css")),
            js_on_load="\n".join(_beside(type(self), "script.js")),
            **options,
        )

    def postprocess(self, value: Any) -> Any:
        return _each(value, text)

    def preprocess(self, payload: Any) -> Any:
        """The value as it was given, but that its named tuples are dictionaries."""
        return _each(payload, unescape)


def _each(value: Any, change: Any) -> Any:
    """Plain data with every string changed."""
    if isinstance(value, str):
        return change(value)
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {change(str(name)): _each(item, change) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each(item, change) for item in value]
    return value


def _beside(cls: type, name: str) -> list[str]:
    """The texts of the files of that name beside a class and its ancestors, the oldest first."""
    own = [ancestor for ancestor in reversed(cls.__mro__) if issubclass(ancestor, Part)]
    files = [Path(inspect.getfile(ancestor)).with_name(name) for ancestor in own]
    return [file.read_text(encoding="utf-8") for file in files if file.is_file()]
