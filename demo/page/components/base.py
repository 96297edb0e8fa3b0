"""What every part of the page is made of: a class with a template, a style and a script beside it.

`template.html` is a JavaScript template literal over `value`; `${value.rows.map(...).join("")}` is
how a list is written. Gradio runs Handlebars over it first, and over what Handlebars made the
literal, so that words in `{{ }}` would run as a program: no template has any. `style.css` holds for
the component alone, its rules nested under it (`.dark &` where the page is dark). `script.js` runs
once for each component, with `element`, `trigger`, `watch` and `props`; elements come and go, so it
listens on `element`.

What the browser alone knows, such as how far a replay is, is the part's `state`: names that are
null until the script sets `props.name`. Gradio's own way, by further arguments of `gr.HTML`, loses
them where a part in a closed tab is updated.

A part that is drawn within others is named in their `inside`; their templates call it by the name
of its folder, `${ratio_map(value.recipe)}`.
"""

from __future__ import annotations

import inspect
from abc import ABCMeta
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
from gradio.component_meta import ComponentMeta, updateable

from demo.page.words import text


class _WithoutStub(ComponentMeta):
    """Makes the class without Gradio's type stub, a `.pyi` written beside its source."""

    def __new__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> type:
        if "__init__" in attrs:  # an update makes the part anew from what it was first given
            attrs["__init__"] = updateable(attrs["__init__"])
        return ABCMeta.__new__(cls, name, bases, attrs)


class Part(gr.HTML, metaclass=_WithoutStub):
    """HTML from a value of plain data, whose every string arrives in the browser escaped.

    The value is made of named tuples, mappings, sequences, strings and numbers; nothing is drawn
    where it is empty. A part has the template that is nearest to its class, and the styles and
    scripts of all the classes that it comes from and of those inside it.
    """

    inside: ClassVar[tuple[type[Part], ...]] = ()
    state: ClassVar[tuple[str, ...]] = ()
    _files: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        classes = _classes(cls)
        cls._files = {
            "html_template": _with_state(cls.state, f'value ? `{_template(cls)}` : ""'),
            "css_template": "\n".join(_beside(classes, "style.css")),
            "js_on_load": "\n".join(_beside(classes, "script.js")),
        }

    def __init__(self, value: Any = None, **options: Any) -> None:
        super().__init__(value, **self._files, **options)

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


def _with_state(names: tuple[str, ...], drawn: str) -> str:
    """A template of an expression in which the names of a state have values."""
    values = ", ".join(f'typeof {name} === "undefined" ? null : {name}' for name in names)
    return f"${{(({', '.join(names)}) => {drawn})({values})}}"


def _template(part: type[Part]) -> str:
    """A part's template, within which those of the parts inside it are functions of a value."""
    template = "".join(_beside(_ancestors(part), "template.html")[-1:]).strip()
    for other in part.inside:
        name = Path(inspect.getfile(other)).parent.name
        template = f'${{(({name}) => `{template}`)((value) => value ? `{_template(other)}` : "")}}'
    return template


def _classes(part: type[Part]) -> list[type[Part]]:
    """All that a part is made of, each once: before itself its ancestors and what is inside."""
    found = [
        other
        for ancestor in _ancestors(part)
        for other in (*(c for inner in ancestor.inside for c in _classes(inner)), ancestor)
    ]
    return list(dict.fromkeys(found))


def _ancestors(part: type[Part]) -> list[type[Part]]:
    """The parts that a class comes from, the oldest first, and itself."""
    return [ancestor for ancestor in reversed(part.__mro__) if issubclass(ancestor, Part)]


def _beside(classes: Sequence[type[Part]], name: str) -> list[str]:
    """The texts of the files of that name beside the classes."""
    files = [Path(inspect.getfile(one)).with_name(name) for one in classes]
    return [file.read_text(encoding="utf-8") for file in files if file.is_file()]
