"""Options of scores: checked at the door, and only those count that a score uses."""

import math

import pytest

from setar_core.scores import SCORES, ScoreOptions


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf, 1e-40, None, "1", True])
def test_a_temperature_that_is_none_is_refused(temperature):
    with pytest.raises(ValueError, match=r"temperature is .*; give a number from 1e-06 to 1e\+06"):
        ScoreOptions(temperature)


@pytest.mark.parametrize("weight", [-1, math.nan, math.inf])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ValueError, match=r"local weight is .*; give a number from 0 to"):
        ScoreOptions(local_weight=weight)


def test_what_differs_is_told_in_words():
    assert ScoreOptions().changes(ScoreOptions()) == ()
    assert ScoreOptions(2, 0.5).changes(ScoreOptions(2)) == ("local weight",)
    assert ScoreOptions(2, 0.5).changes(ScoreOptions()) == ("temperature", "local weight")


def test_only_what_a_score_uses_counts():
    given = ScoreOptions(2, 0.5)
    assert given.only(SCORES["gl_mcm"].uses) == given
    assert given.only(SCORES["mcm"].uses) == ScoreOptions(2)
    assert given.only(SCORES["max_logit"].uses) == ScoreOptions()


def test_their_json_makes_them_again():
    page = ScoreOptions(2, 0.5).page()
    assert page == {"temperature": 2.0, "local_weight": 0.5}
    assert ScoreOptions(**page) == ScoreOptions(2, 0.5)
