"""ResNets: timm's own logits, ReAct and ASH by their formulas, and what no block is there for."""

import json

import numpy as np
import pytest
import timm
import torch
from scipy.special import logsumexp

from setar_core.adapter import Adapter
from setar_core.backbones import BackboneError, load_backbone
from setar_core.backbones.resnet import ResNetBackbone, classifier_of
from setar_core.data.calibration import CalibrationSet
from setar_core.data.images import find_images, read_image
from setar_core.detector import Detector
from setar_core.finetune.pictures import TrainingSet
from setar_core.finetune.plan import preset_plan
from setar_core.finetune.train import finetune
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe, Site
from setar_core.scores import SCORES
from setar_core.scores.shaping import Shaping
from setar_core.search.plan import SearchPlan, resolve
from setar_core.spectra.profiles import profiles

NO_BLOCKS = "has no blocks of attention and MLP.*; use a CLIP, a plain ViT or a SwinV2"


@pytest.fixture(scope="module")
def backbone(resnet):
    return load_backbone(f"timm:local-dir:{resnet}")


@pytest.fixture(scope="module")
def labels(backbone):
    return LabelSet(backbone.class_names)


@pytest.fixture(scope="module")
def paths(golden):
    return find_images([golden / "clip" / "images"])[:24]


@pytest.fixture(scope="module")
def pixels(backbone, paths):
    return torch.stack([backbone.preprocess(read_image(path)) for path in paths])


@pytest.fixture(scope="module")
def penultimate(resnet, pixels):
    """What enters the last layer of timm's own network, float64, and that layer."""
    model, seen = timm.create_model(f"local-dir:{resnet}", pretrained=True).eval(), []
    model.fc.register_forward_hook(lambda _, given, out: seen.append(given[0]))
    with torch.inference_mode():
        model(pixels)
    weight, bias = (x.detach().double().numpy() for x in (model.fc.weight, model.fc.bias))
    return seen[0].double().numpy(), weight, bias


def test_features_and_logits_are_timms_own(backbone, labels, pixels, penultimate):
    assert type(backbone) is ResNetBackbone and backbone.class_names[1] == "sea lion"
    features, (expected, _, _) = backbone.features(pixels), penultimate
    np.testing.assert_allclose(features.raw.numpy(), expected, rtol=0, atol=1e-5)
    assert features.raw.min() == 0 and (features.raw > 0).any()  # they leave a ReLU
    logits = backbone.logits(features, backbone.classifier(labels), patches=False)
    torch.testing.assert_close(logits.whole, backbone.model(pixels), atol=1e-5, rtol=0)
    assert (logits.scale, logits.local) == (1.0, None)


def test_what_each_place_adds_to_a_label_is_exact(backbone, labels, pixels):
    features, head = backbone.features(pixels, parts=True), backbone.classifier(labels)
    assert features.grid == (3, 3) and features.local.shape == (24, 9, 96)
    torch.testing.assert_close(features.parts.sum(dim=1), features.whole)
    logits = backbone.logits(features, head, patches=False)
    support = backbone.support(features, logits, head).sum(dim=1)
    without = logits.whole - head.bias
    expected = without.gather(1, logits.whole.argmax(1, keepdim=True))[:, 0] - without.mean(1)
    torch.testing.assert_close(support, expected, atol=1e-5, rtol=1e-4)


def react(features, percent=None, limit=None):
    """arXiv:2111.12797, as deeplearning-wisc/react clips what its average pooling leaves."""
    limit = np.percentile(features.flatten(), percent) if limit is None else limit
    return np.minimum(features, limit)


def ash(features, kind, percent):
    """arXiv:2209.09858, as andrijazz/ash prunes what the average pooling of a ResNet leaves."""
    shaped = np.zeros_like(features)
    n = features.shape[1]
    k = n - int(np.round(n * percent / 100))
    for before, after in zip(features, shaped, strict=True):
        top = np.argsort(before)[-k:]
        assert before[top[0]] > np.sort(before)[-k - 1]  # the choice is no chance
        sums = before.sum(), before[top].sum()
        after[top] = {
            "p": before[top],
            "b": sums[0] / k,
            "s": before[top] * np.exp(sums[0] / sums[1]),
        }[kind]
    return shaped


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("react:p90", lambda x: react(x, 90)),
        ("react:p50", lambda x: react(x, 50)),
        ("react:1.0", lambda x: react(x, limit=1.0)),
        *((f"ash-{kind}:{p}", lambda x, kind=kind, p=p: ash(x, kind, p))
          for kind in "pbs" for p in (65, 90)),
    ],
)  # fmt: skip
def test_react_and_ash_are_their_formulas(text, shape, backbone, labels, pixels, penultimate):
    features, weight, bias = penultimate
    shaped = shape(features)
    assert np.abs(shaped - features).max() > 0.1
    expected = shaped @ weight.T + bias
    detector = Detector(backbone, labels, "energy", shaping=Shaping.parse(text))
    if detector.shaping.learns:
        detector = detector.fit_batches([(pixels, torch.full((24,), -1))], ("energy",))
    ((_, evidence),) = detector.evidence(pixels, {"logits"})
    np.testing.assert_allclose(evidence.logits.whole.numpy(), expected, rtol=1e-5, atol=1e-5)
    energy = logsumexp(expected, axis=1)
    np.testing.assert_allclose(detector.scores_of(pixels).numpy(), energy, rtol=1e-5, atol=1e-5)


def test_a_verdict_has_every_score_of_the_whole_image_and_a_map(backbone, labels, paths):
    verdict = Detector(backbone, labels, "energy").calibrate(paths).verdict(paths[0])
    assert verdict.patches is None and verdict.patch_labels == ()
    assert verdict.support.shape == (3, 3)
    alone = {name for name, score in SCORES.items() if score.needs == {"logits"}}
    assert set(verdict.scores) == {name for name in alone if not SCORES[name].learns}
    page = json.loads(json.dumps(verdict.page(), allow_nan=False))
    assert page["patches"] is None and np.shape(page["support"]) == (3, 3)


def test_scores_of_features_learn_from_id_images(backbone, labels, paths):
    learning = [name for name, score in SCORES.items() if score.learns and "layers" not in
                score.needs | score.learns_from]  # fmt: skip
    detector = Detector(backbone, labels).fit(paths, learning, [i % 4 for i in range(len(paths))])
    assert {"knn", "fdbd", "mahalanobis"} <= set(learning) <= set(detector.fitted)
    assert set(learning) <= set(detector.verdict(paths[0]).scores)


def test_scores_of_patches_and_of_layers_are_refused(backbone, labels):
    for score in ("gl_mcm", "l_mcm"):
        with pytest.raises(ValueError, match=r"sees none without its neighbours; use a score of"):
            Detector(backbone, labels, score)
    with pytest.raises(ValueError, match="have no token that stands for the whole image"):
        Detector(backbone, labels, "layers_mcm")
    with pytest.raises(ValueError, match="reads none"):
        Detector(backbone, labels, "neglabel")
    with pytest.raises(ValueError, match=NO_BLOCKS):
        backbone.features(torch.zeros(1, 3, 96, 96), layers=True)


def searched(backbone, labels, paths):
    images = torch.stack([backbone.preprocess(read_image(path)) for path in paths[:4]])
    given = CalibrationSet(images, torch.arange(4), labels)
    return resolve(SearchPlan(), backbone, given)


def trained(backbone, labels, paths):
    images = TrainingSet(tuple(paths[:4]), (0, 1, 2, 3))
    return finetune(backbone, images, labels, preset_plan("setar-ft", backbone.name, 4))


def adapted(backbone, labels, paths):
    tensors = {"visual.0.up/A": torch.ones(1, 4), "visual.0.up/B": torch.ones(4, 1)}
    adapter = Adapter("lora", tensors, backbone.name, backbone.fingerprint)
    return backbone.with_adapter(adapter)


@pytest.mark.parametrize(
    "ask",
    [
        searched,
        trained,
        adapted,
        lambda backbone, *_: backbone.with_recipe(Recipe({Site("visual", 0, "up"): 0.1})),
        lambda backbone, *_: list(profiles(backbone)),
        lambda backbone, *_: next(backbone.sites()),
        lambda backbone, *_: backbone.tower("visual"),
    ],
)
def test_what_is_about_blocks_is_refused_with_the_reason(ask, backbone, labels, paths):
    with pytest.raises(ValueError, match=NO_BLOCKS):
        ask(backbone, labels, paths)


def test_timm_opens_what_it_saves(backbone, pixels, tmp_path):
    backbone.save(tmp_path / "again")
    again = load_backbone(f"timm:local-dir:{tmp_path / 'again'}")
    assert again.fingerprint == backbone.fingerprint
    assert torch.equal(again.features(pixels).whole, backbone.features(pixels).whole)


@pytest.mark.parametrize(
    ("name", "more", "reason"),
    [
        ("resnet50", {}, None),
        ("resnet18", {}, None),
        ("resnext50_32x4d", {}, None),
        ("wide_resnet50_2", {}, None),
        ("seresnet50", {}, None),
        ("ecaresnet50d", {}, None),
        ("resnet18", {"num_classes": 0}, "no classification head"),
        ("resnet18", {"global_pool": "catavgmax"}, "pooled by 'catavgmax', not averaged"),
        ("resnetv2_50", {}, "a ResNetV2 is neither"),
        ("resnet50_clip", {}, "a ByobNet is neither"),
    ],
)
def test_which_of_timms_are_resnets(name, more, reason):
    with torch.device("meta"):
        model = timm.create_model(name, **more)
    if reason is None:
        assert classifier_of(name, model) is ResNetBackbone
        return
    with pytest.raises(BackboneError, match=f"{name} is not supported: .*{reason}.* Use"):
        classifier_of(name, model)
