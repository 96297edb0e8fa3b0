"""ReAct and ASH: the authors' numbers on two classifiers, and what they are refused for."""

import json

import numpy as np
import pytest
import torch

from setar_core.backbones import load_backbone
from setar_core.data.images import find_images, read_image
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.scores import SCORES
from setar_core.scores.shaping import Shaping

LABELS = LabelSet(tuple(f"class {i}" for i in range(24)))


@pytest.fixture(scope="module", params=["swin", "vit"])
def world(request, golden):
    """A classifier's name, itself, its ID and OOD pixels in one, and the authors' numbers."""
    backbone = load_backbone(f"timm:local-dir:{golden / request.param}")
    paths = [*find_images([golden / "swin" / "images"]), *find_images([golden / "ood" / "images"])]
    pixels = torch.stack([backbone.preprocess(read_image(path)) for path in paths])
    return request.param, backbone, pixels, np.load(golden / "posthoc" / f"{request.param}.npz")


def spelt(operation):
    kind, _, amount = operation.rpartition("_")
    return (
        f"react:{amount.lstrip('c')}" if kind == "react" else f"{kind.replace('_', '-')}:{amount}"
    )


def test_features_before_the_head_are_the_authors(world):
    _, backbone, pixels, theirs = world
    raw = backbone.features(pixels).raw
    np.testing.assert_allclose(raw.numpy(), theirs["features"], rtol=0, atol=1e-5)


def test_logits_after_shaping_are_the_authors(world, golden):
    name, backbone, pixels, theirs = world
    limits = json.loads((golden / "posthoc" / "cases.json").read_text())[name]["thresholds"]
    operations = [key.split("/")[0] for key in theirs.files if key.endswith("/logits")]
    assert len(operations) == 15
    inside = backbone.features(pixels[:24]).raw
    for operation in operations:
        shaping = Shaping.parse(spelt(operation)).fit(inside)
        if shaping.limit is not None:
            assert shaping.limit == pytest.approx(limits[operation], rel=1e-6)
        detector = Detector(backbone, LABELS, "energy", shaping=shaping)
        ((_, evidence),) = detector.evidence(pixels, {"logits"})
        np.testing.assert_allclose(
            evidence.logits.whole.numpy(), theirs[f"{operation}/logits"], rtol=0, atol=2e-5
        )
        energy = detector.score_of(evidence).numpy()
        np.testing.assert_allclose(energy, theirs[f"{operation}/energy"], rtol=2e-6, atol=2e-6)


def test_what_is_shaped_stays_as_it_was():
    features = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
    before = features.clone()
    for text in ("react:0.5", "ash-p:90", "ash-b:90", "ash-s:90"):
        Shaping.parse(text)(features)
        assert torch.equal(features, before)


@pytest.mark.parametrize("text", ["react:p90", "react:1.5", "ash-p:90", "ash-b:65", "ash-s:95"])
def test_a_shaping_is_written_as_it_is_read(text):
    assert str(Shaping.parse(text)) == text
    assert Shaping.parse(str(Shaping.parse(text))) == Shaping.parse(text)


@pytest.mark.parametrize(
    "text", ["", "react", "react:", "react:p0", "ash-s:p90", "ash-s:100", "ash-x:90", "ash-s:-1",
             "react:nan", "react:p90 at 3", "scale:85"],
)  # fmt: skip
def test_what_is_no_shaping_is_refused(text):
    with pytest.raises(ValueError, match="shaping"):
        Shaping.parse(text)


def test_a_limit_is_learned_before_it_cuts():
    shaping = Shaping.parse("react:p50")
    with pytest.raises(ValueError, match="react:p50 learns from ID images"):
        shaping(torch.ones(1, 3))
    fitted = shaping.fit(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert fitted.limit == 2.5 and str(fitted) == "react:p50 at 2.5"
    assert torch.equal(fitted(torch.tensor([[0.0, 9.0]])), torch.tensor([[0.0, 2.5]]))


def test_scores_that_look_beyond_shaped_logits_are_refused(world):
    _, backbone, pixels, _ = world
    with pytest.raises(ValueError, match=r"GL-MCM looks at more than the logits that ash-s:90"):
        Detector(backbone, LABELS, "gl_mcm", shaping=Shaping.parse("ash-s:90"))
    plain = Detector(backbone, LABELS).verdicts_of(pixels[:2])
    shaped = Detector(backbone, LABELS, shaping=Shaping.parse("ash-s:65")).verdicts_of(pixels[:2])
    assert shaped[0].scores.keys() == {n for n in plain[0].scores if SCORES[n].needs == {"logits"}}
    assert shaped[0].score != plain[0].score


def test_the_shaping_is_among_what_a_threshold_depends_on(world):
    _, backbone, _, _ = world
    plain, shaped = (
        Detector(backbone, LABELS, shaping=shaping).context
        for shaping in (None, Shaping.parse("ash-s:90"))
    )
    assert plain.changes(shaped) == ("shaping",)
    assert "shaping" not in plain.page() and shaped.page()["shaping"] == "ash-s:90"
