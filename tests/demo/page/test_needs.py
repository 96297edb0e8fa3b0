"""What few scores need, behind More: shown for the score that needs it, and used."""

import re

import pytest
from playwright.sync_api import expect

from demo.page.choices import score_choices, score_explained, worth
from demo.page.needs import NUMBERS, Needs, needed
from demo.server.shipped import EMBEDDED
from setar_core.paths import ASSETS
from setar_core.scores import SCORES


def test_the_list_begins_with_what_needs_nothing_and_marks_the_others():
    names = [name for _, name in score_choices()]
    assert sorted(names) == sorted(SCORES) and names[0] == "mcm"
    groups = [SCORES[name].group for name in names]
    assert groups == sorted(groups, key=["nothing", "negatives", "ID images"].index)
    titles = dict((name, title) for title, name in score_choices())
    assert titles["neglabel"] == "NegLabel (negative words)" and titles["knn"] == "KNN (learns)"


@pytest.mark.parametrize("score", SCORES.values(), ids=lambda score: score.name)
def test_only_what_a_score_needs_is_shown(score):
    shown = dict(zip(Needs._fields, needed(score.name), strict=True))
    visible = {
        name: bool(part["visible"]) for name, part in shown.items() if part and "visible" in part
    }
    assert visible["words"] == visible["mine"] == (score.group == "negatives")
    assert visible["learn_from"] == score.learns
    assert visible["shaping"] == (score.needs <= {"logits"})
    for name in NUMBERS:
        assert visible[name] == (name in score.options)
    assert score.made_for in score_explained(score.name).replace("&#x27;", "'")


def test_what_a_score_is_worth_is_what_was_measured():
    figures = (ASSETS.parent / "docs" / "figures.md").read_text(encoding="utf-8")
    section = figures.split("## Every score on the shipped sets")[1].split("\n## ")[0]
    for name, score in SCORES.items():
        (row,) = re.findall(rf"\| original \| {re.escape(score.title)} \|.*", section)
        passing = row.split("|")[-2].split()[0]
        assert f"lets {passing} % of the foreign ones pass" in worth(name)
    assert "MaxLogit" in worth("mcm") and "NegLabel" in worth("mcm")
    assert "test pictures" in score_explained("mcm", EMBEDDED)
    assert "test pictures" not in score_explained("mcm", "ViT-B-16/openai")


def test_an_unknown_score_changes_nothing():
    assert len(needed("nothing")) == len(Needs._fields)


@pytest.mark.browser
def test_a_visitor_sees_the_mined_words_and_is_judged_by_them(visit, drawn):
    page = visit()
    page.get_by_role("button", name="More: labels").click()
    page.locator("#score input").click()
    page.get_by_role("option", name="NegLabel").click()
    expect(page.locator("#question")).to_contain_text("see More")
    page.locator("#mine").click()
    expect(page.locator("#mined-notice")).to_contain_text("negative words")
    expect(page.locator("#mined")).to_contain_text("distance")
    page.get_by_role("button", name="Judge", exact=True).click()
    expect(page.locator("#detail")).to_contain_text("Best labels and negatives")
    expect(page.locator("#detail")).to_contain_text("(not one of yours)")
    assert not page.broken
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
