"""A detector: verdicts that say why, thresholds that hold only where they were found."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from setar_core.data.images import read_image
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.metrics.separation import recall_interval
from setar_core.recipe import Recipe, Site
from setar_core.scores import ALONE, SCORES, Score, ScoreOptions


@pytest.fixture(scope="module")
def detector(clip, labels):
    return Detector(clip, labels)


def test_a_verdict_says_why(detector, paths, labels):
    verdict = detector.with_threshold(0.0).verdict(paths[3])
    assert verdict.in_distribution
    assert str(verdict).startswith(f"in-distribution: {verdict.top[0][0]}, ")
    assert len(verdict.top) == 5
    assert {name for name, _ in verdict.top} <= set(labels.names)
    chances = [chance for _, chance in verdict.top]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) <= 1 + 1e-6
    assert verdict.patches.shape == (6, 6)
    assert np.shape(verdict.patch_labels) == (6, 6)
    assert {name for row in verdict.patch_labels for name in row} <= set(labels.names)
    assert ((verdict.patches > 0) & (verdict.patches <= 1)).all()
    assert set(verdict.scores) == {n for n, score in SCORES.items() if score.group == "nothing"}
    rejected = detector.with_threshold(9.0).verdict(paths[3])
    assert str(rejected).startswith("out-of-distribution")
    assert rejected.score == verdict.score == verdict.scores["mcm"]


def test_an_equal_score_is_accepted(detector, paths):
    score = detector.verdict(paths[0]).score
    assert detector.with_threshold(score).verdict(paths[0]).in_distribution
    above = float(np.nextafter(score, 2.0))
    assert not detector.with_threshold(above).verdict(paths[0]).in_distribution


def test_a_score_that_another_calibration_may_decide_otherwise_is_a_close_call(detector, paths):
    ready = detector.calibrate(paths, recall=0.9)
    found = ready.threshold
    low, high = found.band
    assert low < found.value < high
    shares = [sum(score >= end for score in found.scores) / found.n for end in (high, low)]
    assert shares == pytest.approx(found.interval, abs=0.5 / found.n + 1e-9)
    for _, verdict in ready.verdicts(paths):
        assert verdict.close == (low <= verdict.score < high)
        said = verdict.side if not verdict.close else "close call"
        assert verdict.decision == verdict.page()["verdict"] == said
        assert str(verdict).startswith(f"close call, {verdict.side}" if verdict.close else said)
    assert sum(verdict.close for _, verdict in ready.verdicts(paths)) > 1
    by_hand = detector.with_threshold(found.value).verdict(paths[0])
    assert by_hand.band is None and not by_hand.close  # it is as sure as whoever set it
    many = replace(found, scores=found.scores * 100, interval=recall_interval(3600, 4000))
    assert many.band[1] - many.band[0] < (high - low) / 2


def test_without_a_threshold_none_is_invented(detector, paths):
    verdict = detector.verdict(paths[0])
    assert not verdict.decided
    assert str(verdict).startswith("no threshold")
    with pytest.raises(ValueError, match="calibrate"):
        _ = verdict.in_distribution


def test_calibration_accepts_the_recall_and_is_voided_by_any_change(detector, clip, labels, paths):
    ready = detector.calibrate(paths, recall=0.9)
    accepted = [verdict.in_distribution for _, verdict in ready.verdicts(paths)]
    assert sum(accepted) == 36
    assert ready.threshold.n == 40
    threshold = ready.threshold
    changed = clip.with_recipe(Recipe({Site("visual", 3, "up"): 0.3}))
    warm = ScoreOptions(2.0)
    others = {
        "recipe": lambda: Detector(changed, labels, threshold=threshold),
        "score": lambda: ready.with_score("energy").with_threshold(threshold),
        "temperature": lambda: Detector(clip, labels, options=warm, threshold=threshold),
        "labels": lambda: Detector(clip, LabelSet(labels.names[::-1]), threshold=threshold),
    }
    for name, make in others.items():
        with pytest.raises(ValueError, match=name):
            make()
    assert ready.with_score("energy").threshold is None
    assert Detector(clip, labels, threshold=threshold).threshold == threshold
    unused = ScoreOptions(local_weight=0.5)
    assert Detector(clip, labels, options=unused, threshold=threshold).threshold == threshold


def test_both_weights_have_their_own_threshold(clip, labels, paths):
    changed = clip.with_recipe(Recipe({site: 0.4 for site in clip.sites()}))
    lines = [Detector(b, labels).calibrate(paths).threshold for b in (clip, changed)]
    assert lines[0].value != lines[1].value
    assert lines[0].context.recipe == "original" != lines[1].context.recipe


def test_one_image_many_images_and_kept_evidence_agree(detector, paths):
    many = dict(detector.verdicts(paths[:20]))
    kept = list(detector.read(paths[:20]))
    again = [verdict for _, evidence in kept for verdict in detector.judge(evidence)]
    for path, verdict in zip(paths[:20], again, strict=True):
        assert many[path].scores == verdict.scores
        alone = detector.verdict(path)
        assert alone.score == pytest.approx(verdict.score, rel=1e-5)
        np.testing.assert_allclose(alone.patches, verdict.patches, rtol=1e-3)


def test_a_small_patch_budget_changes_nothing(detector, paths, monkeypatch):
    whole = torch.cat([evidence.logits.whole for _, evidence in detector.read(paths[:9])])
    monkeypatch.setattr("setar_core.memory.PATCH_LOGITS", 1)
    parts = [evidence.logits for _, evidence in detector.read(paths[:9])]
    assert len(parts) == 9
    torch.testing.assert_close(torch.cat([part.whole for part in parts]), whole)


def test_only_what_is_needed_is_computed(detector, paths):
    whole = [evidence for _, evidence in detector.read(paths[:3], needs={"features"})]
    assert all(evidence.holds == {"logits", "features"} for evidence in whole)
    every = [evidence for _, evidence in detector.read(paths[:3])]
    assert all(evidence.holds == {"logits", "patches"} for evidence in every)
    for few, many in zip(whole, every, strict=True):
        assert torch.equal(few.logits.whole, many.logits.whole)
        assert torch.equal(detector.score_of(few), detector.score_of(many))


def test_a_score_of_ones_own_is_calibrated_and_judged_like_the_others(detector, paths, monkeypatch):
    def centre(features):
        return {"middle": features.mean(0)}

    def near(features, middle):
        return -(features - middle).norm(dim=-1)

    needs = frozenset({"features"})
    score = Score("near", "Near", "?", "-|g - m|", "", near, needs, (), learner=centre,
                  learns_from=needs)  # fmt: skip
    monkeypatch.setitem(SCORES, "near", score)
    assert "near" not in detector.verdict(paths[0]).scores  # nothing was learnt yet
    mine = detector.with_score("near")
    with pytest.raises(ValueError, match="Near learns from ID images"):
        mine.verdict(paths[0])
    ready = mine.fit(paths).calibrate(paths, recall=0.9)
    verdicts = [verdict for _, verdict in ready.verdicts(paths)]
    assert sum(verdict.in_distribution for verdict in verdicts) == 36
    features = torch.cat([e.features for _, e in ready.read(paths, needs={"features"})])
    wanted = -(features - features.mean(0)).norm(dim=-1)
    found = torch.tensor([verdict.scores["near"] for verdict in verdicts])
    torch.testing.assert_close(found, wanted)
    with pytest.raises(ValueError, match="no ID image to learn from"):
        mine.fit([])
    with pytest.raises(ValueError, match="Near learns from ID images"):
        mine.calibrate(paths)


def test_five_thousand_labels_work_in_groups(clip, paths):
    said = []
    many = LabelSet(tuple(f"thing number {i}" for i in range(5000)))
    verdict = Detector(clip, many, "gl_mcm", progress=said.append).verdict(paths[0])
    assert len(verdict.top) == 5
    assert said


def test_a_broken_image_is_reported_and_the_rest_judged(detector, paths, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    errors = []
    found = list(detector.verdicts([paths[0], tmp_path / "broken.png", paths[1]], errors.append))
    assert [path for path, _ in found] == [paths[0], paths[1]]
    assert "broken.png" in str(errors[0])


def test_a_picture_needs_no_file(detector):
    assert len(detector.verdict(Image.new("RGBA", (99, 40), "red")).top) == 5


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"score": "best"}, "use one of mcm"), ({"threshold": float("nan")}, "threshold is nan")],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(clip, labels, settings, reason):
    with pytest.raises(ValueError, match=reason):
        Detector(clip, labels, **settings)


def test_a_score_that_is_no_number_is_refused_and_never_shown(clip, labels):
    picture = torch.full((1, 3, 48, 48), 1e38)  # beyond what preprocessing gives
    detector = Detector(clip, labels, "energy", threshold=0.0)
    with pytest.raises(ValueError, match=r"of a picture is no finite number, since what local-dir"):
        detector.verdicts_of(picture)


def test_several_templates_tell_how_much_wording_matters(clip, labels, paths):
    templates = ("a photo of a {}", "a drawing of a {}", "{}")
    several = Detector(clip, replace(labels, prompt="\n".join(templates)))
    alone = [Detector(clip, replace(labels, prompt=one)).verdict(paths[3]) for one in templates]
    verdict = several.verdict(paths[3])
    scores = [one.score for one in alone]
    assert verdict.spread == pytest.approx((min(scores), max(scores)), rel=1e-5)
    assert verdict.page()["spread"] == list(verdict.spread)
    assert all(one.spread is None and "spread" not in one.page() for one in alone)
    assert several.with_score("gl_mcm").verdict(paths[3]).spread is None


def test_every_score_is_what_each_is_alone(detector, paths):
    pixels = torch.stack([detector.backbone.preprocess(read_image(path)) for path in paths[:9]])
    every = detector.every_score_of(pixels)
    assert set(every) == {*ALONE}
    for name, values in every.items():
        assert torch.equal(values, detector.with_score(name).scores_of(pixels)), name
