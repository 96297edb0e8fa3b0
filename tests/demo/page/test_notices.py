"""What the page says, and how errors come to be said."""

import gradio as gr
import pytest

from demo.page.notices import Notice, busy, notice, reporting_errors, toasting_errors
from demo.page.words import duration, left_out, place, text
from setar_core.recipe import Site

reporting = reporting_errors(lambda told: {"notice": told})


def test_sentences_begin_with_a_capital_and_names_do_not():
    for said, shown in (
        ("there is no image", "There is no image"),
        ("timm:x is not supported", "timm:x is not"),
        ("notes.jpg: is empty", "notes.jpg: is"),
        ("“a” is no label", "“a” is"),
    ):
        assert shown in notice(said).sentence and shown in busy(said).sentence


def test_a_long_list_is_cut():
    said = notice("many", "bad", [f"file {i}" for i in range(20)])
    assert len(said.items) == 13 and said.items[-1] == "and 8 more"
    assert busy("half", 0.12345) == Notice("busy", "Half", [], 0.123)


def test_an_error_of_a_function_is_a_notice():
    @reporting
    def judged(count):
        if count < 1:
            raise ValueError("there is no image")
        return count

    assert judged(2) == 2
    assert judged(0) == {"notice": Notice("bad", "There is no image", [])}


def test_an_error_of_a_generator_comes_after_what_was_shown():
    @reporting
    def judged(count):
        yield count
        raise ValueError("the disk is away")

    assert list(judged(1)) == [1, {"notice": Notice("bad", "The disk is away", [])}]


def test_only_what_the_core_refuses_is_said():
    def broken(*_):
        raise KeyError("a fault of ours")

    for handler in (reporting(broken), toasting_errors(broken)):
        with pytest.raises(KeyError):
            handler()


def test_an_error_may_come_up_in_the_corner():
    @toasting_errors
    def saved(name: str) -> str:
        raise ValueError(f"there is no {name}")

    with pytest.raises(gr.Error, match="There is no trace"):
        saved("trace")


def test_text_is_safe_in_an_attribute_and_in_a_script():
    assert text("<a href='x\">`&") == "&lt;a href=&#x27;x&quot;&gt;&#96;&amp;"


def test_numbers_and_places_in_words():
    told = [duration(seconds) for seconds in (0.2, 1, 59.6, 120, 5399, 7200)]
    assert told == ["under 1 s", "1 s", "60 s", "2 min", "90 min", "2.0 h"]
    assert left_out(1) == "One file was left out"
    assert left_out(3, "image") == "3 images were left out"
    assert place(Site("visual", 5, "up")) == "image tower, block 5"
    assert place(Site("visual", (2, 1), "q")) == "image tower, stage 2, block 1"
    assert place(Site("text", None, "proj")) == "text tower, projection"
