"""A search's candidates on a card: in every precision, and nobody waits before their end."""

from dataclasses import replace

import pytest
import torch

from setar_core.memory import free_memory
from setar_core.parallel.workers import rounding
from setar_core.search.evaluator import Evaluator
from setar_core.search.greedy import greedy_search
from setar_core.search.objective import measure
from setar_core.search.plan import PRECISIONS, SearchPlan, resolve, sites

RATIOS = (0.0, 0.4)
PLANS = {
    **{
        precision: ("clip", SearchPlan(ratios=RATIOS, precision=precision))
        for precision in PRECISIONS
    },
    "swin": ("swin", SearchPlan(ratios=RATIOS)),
    "queries": ("clip", SearchPlan("visual_only", "q", RATIOS, predicted_labels=True)),
    "random": ("swin", SearchPlan(ratios=RATIOS, prune="random")),
    "auroc": ("clip", SearchPlan("visual_only", ratios=RATIOS, objective="auroc")),
    "fpr": ("swin", SearchPlan(ratios=RATIOS, objective="fpr", score="mcm")),
}


def few(calibration, count=3):
    """Its first pictures: a stand-in takes a millisecond for each operation."""
    return replace(
        calibration, images=calibration.images[:count], classes=calibration.classes[:count]
    )


@pytest.mark.parametrize(("family", "plan"), PLANS.values(), ids=PLANS)
def test_nobody_waits_inside_a_candidate(card, worlds, family, plan):
    backbone, calibration = worlds[family]
    plan, calibration = resolve(plan, backbone, calibration), few(calibration)
    site = sites(plan, backbone)[-1]
    for memory in (free_memory(backbone.device) // 2, 0):  # states are kept, or run again
        evaluator = Evaluator(backbone, calibration, plan, [site], memory)
        evaluator.source.spectrum(site)  # taken apart once, whatever is tried of it
        for ratio in RATIOS:
            with card.waits() as waits:
                builder = evaluator.collect(site, ratio)
            assert not waits
            with card.waits() as waits:
                builder.build()
            assert 1 <= len(waits) <= 4  # terms, OOD patches, scores inside and outside


def test_a_whole_search(worlds):
    backbone, calibration = worlds["swin"]
    trials = list(greedy_search(backbone, few(calibration), SearchPlan(ratios=RATIOS)))
    assert len(trials) == trials[-1].total


@pytest.mark.parametrize("precision", PRECISIONS)
def test_products_have_the_precision_that_was_asked(card, worlds, precision):
    backbone, _ = worlds["clip"]
    x = torch.ones(8, 8, device=card.name)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    with rounding(backbone.device, precision):
        product = x @ x
        flags = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    assert product.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
    if precision != "bf16":
        assert set(flags) == {precision == "tf32"}
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


def test_a_network_is_measured_by_its_plain_pass(worlds):
    backbone, calibration = worlds["clip"]
    assert measure(backbone, calibration, SearchPlan()).ood.device.type == "cpu"
