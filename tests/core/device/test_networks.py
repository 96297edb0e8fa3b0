"""Networks on a card: everything is there, nothing of the host slips in, and nobody waits."""

import pytest
import torch

from setar_core.backbones import load_backbone
from setar_core.benchmark.run import Benchmark
from setar_core.data.images import find_images
from setar_core.data.sets import ImageSet
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe
from setar_core.scores import ALONE, SCORES
from setar_core.scores.evidence import Evidence
from setar_core.scores.logits import patch_best, patch_map, probabilities
from setar_core.spectra.effect import Probe

FAMILIES = ("clip", "swin")


def test_two_devices_never_meet(card):
    here, there = torch.ones(3), torch.ones(3, device=card.name)
    for inferring in (True, False):
        with torch.inference_mode(inferring), pytest.raises(RuntimeError, match="same device"):
            here + there


def test_what_a_program_waits_for_is_counted(card):
    x = torch.ones(4, device=card.name)
    with card.waits() as none:
        (x * 2).sum()
        torch.ones(4).to(x.device, non_blocking=True)
    with card.waits() as waits:
        float(x.sum())
        x.cpu()
        torch.ones(4).to(x.device)
    assert not none and len(waits) == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_is_on_the_card_as_a_whole(worlds, family):
    backbone, _ = worlds[family]
    parts = [*backbone.model.parameters(), *backbone.model.buffers()]
    assert {part.device.type for part in parts} == {backbone.device.type} == {"cuda"}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_score_and_map_without_waiting(card, worlds, family):
    backbone, calibration = worlds[family]
    classifier = backbone.classifier(calibration.labels)
    with card.waits() as waits:
        features = backbone.features(calibration.images)
        for piece, logits in backbone.logits_in_pieces(features, classifier):
            evidence = Evidence(logits, features.whole[piece])
            found = [SCORES[name](evidence) for name in ALONE]
            found += [patch_map(logits), patch_best(logits), probabilities(logits)]
            assert {x.device.type for x in found} == {"cuda"}
            assert {len(x) for x in found} == {len(logits)}
    assert not waits


@pytest.mark.parametrize("prompt", ["a photo of a {}", "a photo of a {}\nthe {}"])
def test_labels_are_sorted_on_the_host(card, worlds, prompt):
    backbone, _ = worlds["clip"]
    labels = LabelSet(("fox", "a rather long label", "bee", "red panda"), prompt)
    with card.waits() as waits:
        classifier = backbone.classifier(labels)
    assert classifier.weight.device.type == "cuda"
    assert len(waits) <= 12  # a few for each length of prompts, none for a label


@pytest.mark.parametrize("family", FAMILIES)
def test_verdicts_come_back_in_two_copies(card, worlds, family):
    backbone, calibration = worlds[family]
    detector = Detector(backbone, calibration.labels)
    with card.waits() as waits:
        evidence = [some.cpu() for _, some in detector.evidence(calibration.images)]
    assert len(waits) <= 4 * len(evidence)  # logits of images and patches, features, support
    verdicts = [verdict for some in evidence for verdict in detector.judge(some)]
    assert len(verdicts) == len(calibration)


@pytest.mark.parametrize("family", FAMILIES)
def test_recipes_calibration_and_benchmark(golden, worlds, family):
    backbone, calibration = worlds[family]
    site = next(backbone.sites())
    found = {
        "original": Detector(backbone, calibration.labels),
        "recipe": Detector(backbone.with_recipe(Recipe({site: 0.3})), calibration.labels),
    }
    paths = find_images([golden / family / "images"])
    threshold = found["recipe"].calibrate(paths).threshold
    assert threshold.n == len(paths)
    sets = [ImageSet.from_folder(golden / family / "images", name) for name in ("ID", "OOD")]
    run = Benchmark(found, sets[0], sets[1:], ("mcm", "gl_mcm"))
    rows = [row for step in run.steps(2) for row in step.rows]
    assert len(rows) == 4


@pytest.mark.parametrize("tower", ["visual", "text"])
def test_the_effect_of_a_ratio(worlds, tower):
    backbone, calibration = worlds["clip"]
    inputs = calibration.images if tower == "visual" else list(calibration.labels.prompts)
    site = next(backbone.sites("up", (tower,)))
    assert len(Probe(backbone, tower, inputs).errors(site, (0.0, 0.5))) == 2


def test_the_embedded_network_reads_its_labels(card):
    backbone = load_backbone("emoji", card.name)
    assert backbone.classifier(LabelSet.load("animals")).weight.device.type == "cuda"
    assert len(backbone.fingerprint) == 16
