"""The search equals the authors' own, and every candidate a replay from scratch."""

import itertools
import json
import math
import random
import re

import open_clip
import pytest
import timm
import torch

from setar_core.backbones import load_backbone
from setar_core.backbones.clip import ClipBackbone
from setar_core.backbones.vision import VisionBackbone
from setar_core.data.calibration import CalibrationSet
from setar_core.labels import LabelSet
from setar_core.lowrank import spectrum
from setar_core.memory import parse_bytes, written
from setar_core.recipe import Recipe, Site
from setar_core.search.caches import SplitMatrix
from setar_core.search.greedy import greedy_search
from setar_core.search.objective import measure
from setar_core.search.plan import ORDERS, SearchPlan

pytestmark = pytest.mark.usefixtures("one_thread")

GOLDEN = ["batched", "interleaved_W_v", "layer_exhaustive", "principal", "text_only_pred_label",
          "text_visual_id_loss", "visual_auroc_gl", "visual_text", "with_projection"]  # fmt: skip
WORDS = ("fox", "sea lion", "a rather long label, with a comma", "owl", "red panda", "ant", "yak")


@pytest.fixture(scope="module")
def worlds(golden, device):
    """Each family's backbone and calibration set."""
    found = {}
    for family, name in (("clip", "local-dir:"), ("swin", "timm:local-dir:")):
        backbone = load_backbone(f"{name}{golden / family}", device)
        labels = LabelSet(tuple(json.loads((golden / family / "labels.json").read_text())))
        images = golden / family / "images"
        found[family] = backbone, CalibrationSet.from_folder(images, labels, backbone.preprocess)
    return found


def tiny_clip(visual_layers=3, text_layers=2, seed=0, **text):
    torch.manual_seed(seed)
    vision = {"image_size": 20, "layers": visual_layers, "width": 24, "head_width": 12,
              "patch_size": 5}  # fmt: skip
    words = {"context_length": 30, "vocab_size": 49408, "width": 16, "heads": 2,
             "layers": text_layers, **text}  # fmt: skip
    model = open_clip.CLIP(embed_dim=20, vision_cfg=vision, text_cfg=words)
    for parameter in model.parameters():  # away from the small start values, so that ratios matter
        if parameter.ndim > 1:
            parameter.data.normal_(std=0.15)
    model.logit_scale.data.fill_(3.0)
    return ClipBackbone("tiny", model, None, open_clip.SimpleTokenizer(context_length=30))


def tiny_swin(seed=0):
    torch.manual_seed(seed)
    model = timm.create_model("swinv2_tiny_window8_256", num_classes=7, img_size=32, window_size=4,
                              embed_dim=12, depths=(1, 2), num_heads=(2, 4))  # fmt: skip
    return VisionBackbone("tiny-swin", model, None)


def tiny_vit(seed=0):
    torch.manual_seed(seed)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=7, img_size=32, patch_size=8,
                              embed_dim=24, depth=3, num_heads=2, reg_tokens=1)  # fmt: skip
    return VisionBackbone("tiny-vit", model, None)


BACKBONES = {"clip": tiny_clip, "swin": tiny_swin, "vit": tiny_vit}


def drawn_set(backbone, n=9, seed=1):
    side = 20 if backbone.has_text else 32
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 3, side, side, generator=generator)
    return CalibrationSet(images, torch.randint(7, (n,), generator=generator), LabelSet(WORDS))


def plan_of(settings, scale):
    return SearchPlan(
        order={"modality_interleaved": "interleaved"}.get(*2 * (settings.get("order"),)),
        weight=settings["weight"].removeprefix("W_"),
        ratios=settings["ratios"],
        lambda_ood=settings["lambda"],
        top_k=settings["top_k"],
        objective=settings.get("metric", "locoop_loss"),
        temperature=100 / scale,  # theirs divides scaled logits, by 100
        prune={"large": "principal"}.get(settings.get("prune"), "minor"),
        projection=not settings.get("freeze_proj", True),
        predicted_labels=settings.get("use_pred_label", False),
        batch_size=settings.get("batch_size", 512),
    )


@pytest.mark.parametrize(
    ("family", "name"), [*(("clip", name) for name in GOLDEN), ("swin", "visual_only")]
)
def test_a_search_equals_the_authors(golden, worlds, family, name):
    page = json.loads((golden / family / "search" / f"{name}.json").read_text())
    backbone, calibration = worlds[family]
    expected = dict(candidates(page["trace"]))
    plan = plan_of(page["settings"], backbone.scale)
    for trial in greedy_search(backbone, calibration, plan):
        metrics = expected.pop((trial.step, trial.site, trial.ratio))
        losses = trial.measures.losses
        ood, theirs = losses.ood_patch_percent, metrics["loss"]["ood_patch_percent"]
        one = 100 / (len(calibration) * trial.measures.ood[0].numel())  # a patch, in percent
        # A patch whose true label ties with its K-th falls on either side as a processor rounds.
        tied = abs(ood - theirs) > 1e-4
        assert ood == pytest.approx(theirs, abs=1.001 * one if tied else 1e-4)
        most = math.log(len(calibration.labels)) * one / ood if tied else 0.0  # of its entropy
        bounds = {"locoop_loss": plan.lambda_ood * most, "loss_id": 0.0, "loss_ood": most}
        for key, bound in bounds.items():
            assert getattr(losses, key) == pytest.approx(metrics["loss"][key], abs=5e-5 + bound)
        assert losses.accuracy == pytest.approx(metrics["loss"]["acc"], abs=1e-4)
        if "gl_mcm_score" in metrics:
            assert trial.objective == pytest.approx(metrics["gl_mcm_score"]["auroc"], abs=1e-4)
    assert not expected, "every candidate has its trial"
    assert trial.index + 1 == trial.total
    assert trial.recipe.authors() == page["best"]


def candidates(trace):
    """((step, site, ratio), metrics) of the authors' nested trace."""
    for step, towers in trace.items():
        for tower, weights in towers.items():
            for weight, layers in weights.items():
                weight = {"W_p": "proj"}.get(weight, weight.removeprefix("W_"))
                for layer, below in layers.items():
                    block = None if layer == "null" else int(layer)
                    for key, value in below.items():
                        if "loss" in value:
                            yield (int(step), Site(tower, block, weight), float(key)), value
                            continue
                        for ratio, metrics in value.items():  # key is the block in a Swin stage
                            site = Site(tower, (block, int(key)), weight)
                            yield (int(step), site, float(ratio)), metrics


def mixtures(count, seed):
    """Seeded draws from all option combinations, every order among them."""
    draw = random.Random(seed)
    orders = itertools.cycle(ORDERS)
    for _ in range(count):
        kind = draw.choice(["clip", "clip", "swin", "vit"])
        order = next(orders)
        if kind != "clip":
            order = draw.choice(["visual_text", "visual_only", "layer_exhaustive", None])
        yield (
            kind,
            {
                "order": order,
                "weight": draw.choice(["q", "k", "v", "o", "up", "down"]),
                "ratios": (0, *sorted(draw.sample([0.01, 0.1, 0.25, 0.4, 0.7, 0.9], 2))),
                "lambda_ood": draw.choice([0, 0.1, 1.5]),
                "top_k": draw.choice([1, 2, 4]),
                "objective": draw.choice(
                    ["locoop_loss", "loss_id", "loss_ood", "auroc", "aupr", "fpr"]
                ),
                "score": draw.choice(["mcm", "gl_mcm", "l_mcm", "energy", "variance", "max_logit"]),
                "temperature": draw.choice([0.05, 1.0]),
                "prune": draw.choice(["minor", "principal", "random"]),
                "projection": draw.random() < 0.4,
                "predicted_labels": draw.random() < 0.4,
                "batch_size": draw.choice([2, 4, 512]),
                "seed": draw.randrange(9),
            },
            draw.choice([None, 0, 40_000]),
        )


@pytest.mark.parametrize(("kind", "settings", "memory"), [*mixtures(18, seed=4)])
def test_every_candidate_equals_a_replay_from_scratch(kind, settings, memory):
    if settings["order"] == "interleaved":
        backbone = tiny_clip(2, 2, seed=settings["seed"])
    else:
        backbone = BACKBONES[kind](seed=settings["seed"])
    calibration = drawn_set(backbone)
    plan = SearchPlan(**settings)
    settled = Recipe({}, prune=plan.prune, seed=plan.seed)
    last, best, winner = None, None, None
    for trial in greedy_search(backbone, calibration, plan, memory=memory):
        if last is not None and trial.step > last.step:
            settled = last.recipe
        candidate = settled.with_ratio(trial.site, trial.ratio)
        replay = measure(backbone.with_recipe(candidate), calibration, plan)
        assert trial.measures.losses == pytest.approx(replay.losses, abs=5e-5)
        assert torch.equal(trial.measures.ood, replay.ood)
        if replay.metrics is not None:
            assert trial.measures.metrics == pytest.approx(replay.metrics, abs=1e-6)
        value = trial.objective
        sign = -1 if plan.objective in ("auroc", "aupr") else 1
        assert trial.improved == (best is None or sign * value < sign * best)
        if trial.improved:
            best, winner = value, candidate.ratios
        shown = {s: r for s, r in trial.recipe.ratios.items() if r}
        assert shown == {s: r for s, r in winner.items() if r}
        last = trial
    assert last.index + 1 == last.total
    assert last.best.objective(plan.objective) == best


def test_a_search_leaves_the_backbone_alone_and_ignores_its_recipe():
    backbone = tiny_clip()
    calibration = drawn_set(backbone)
    before = {name: t.clone() for name, t in backbone.model.state_dict().items()}
    plan = SearchPlan(ratios=(0, 0.3), top_k=2)
    plain = list(greedy_search(backbone, calibration, plan))
    altered = backbone.with_recipe(Recipe({Site("visual", 2, "up"): 0.5}))
    again = list(greedy_search(altered, calibration, plan))
    assert [t.measures.losses for t in plain] == [t.measures.losses for t in again]
    assert all(torch.equal(before[n], t) for n, t in backbone.model.state_dict().items())
    search = greedy_search(backbone, calibration, plan)
    next(search)
    search.close()  # a stopped search leaves nothing behind
    assert all(torch.equal(before[n], t) for n, t in backbone.model.state_dict().items())


def test_nothing_is_run_twice(monkeypatch):
    backbone = tiny_clip()
    calibration = drawn_set(backbone)
    decomposed = []
    monkeypatch.setattr(
        "setar_core.backbones.base.spectrum", lambda w: decomposed.append(w) or spectrum(w)
    )
    plan = SearchPlan(order="layer_exhaustive", ratios=(0, 0.001, 0.2), top_k=2)
    trials = list(greedy_search(backbone, calibration, plan))
    assert len(decomposed) == 5, "one decomposition a site"
    networks = set()
    settled = Recipe({})
    for last, trial in itertools.pairwise([trials[0], *trials]):
        settled = last.recipe if trial.step > last.step else settled
        ratio = 0 if trial.ratio == 0.001 else trial.ratio  # it rounds to no component
        candidate = settled.with_ratio(trial.site, ratio)
        key = candidate.fingerprint
        assert trial.known == (key in networks)
        networks.add(key)


def test_random_components_follow_the_seed():
    backbone = tiny_clip()
    calibration = drawn_set(backbone)
    plans = [SearchPlan(ratios=(0, 0.4), top_k=2, prune="random", seed=s) for s in (1, 1, 2)]
    one, same, other = (list(greedy_search(backbone, calibration, plan)) for plan in plans)
    assert [t.loss for t in one] == [t.loss for t in same]
    assert [t.loss for t in one] != [t.loss for t in other]
    kept = measure(backbone.with_recipe(one[-1].recipe), calibration, plans[0])
    assert kept.losses == pytest.approx(one[-1].best.losses, abs=5e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"top_k": 7}, "top-k is 7 of 7 labels"),
        ({"top_k": 0}, "top_k is 0"),
        ({"ratios": (0, 1.0)}, "below 1"),
        ({"ratios": (0, -0.1)}, "at least 0"),
        ({"ratios": (0, float("nan"))}, "must be a number"),
        ({"ratios": (0.1, 0.2)}, "the first must be 0"),
        ({"ratios": (0, 0.2, 0.1)}, "above the one before"),
        ({"ratios": ()}, "the first must be 0"),
        ({"ratios": (0, 0.99)}, "drops all"),
        ({"order": "upwards"}, "order 'upwards' is unknown"),
        ({"order": "interleaved"}, "3 in its image tower and 2"),
        ({"weight": "proj"}, "weight 'proj' is unknown"),
        ({"objective": "fpr95"}, "objective 'fpr95' is unknown"),
        ({"objective": "auroc", "score": "mmc"}, "score 'mmc' is unknown"),
        ({"prune": "large"}, "prune 'large' is unknown"),
        ({"objective": ["fpr"]}, r"objective \['fpr'\] is unknown"),
        ({"lambda_ood": -1}, "lambda is -1"),
        ({"lambda_ood": float("inf")}, "finite"),
        ({"temperature": 0}, "temperature is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"precision": "tf32"}, "needs a CUDA device"),
    ],
)
def test_what_cannot_be_searched_is_refused_at_the_door(settings, words):
    backbone = tiny_clip()
    with pytest.raises(ValueError, match=words):
        greedy_search(backbone, drawn_set(backbone), SearchPlan(**settings))


def test_images_that_do_not_fit_are_refused_at_the_door():
    backbone = tiny_clip()
    good = drawn_set(backbone)
    for images, classes, words in (
        (good.images[:0], good.classes[:0], "no calibration images"),
        (good.images, good.classes[:3], "3 classes for 9 images"),
        (good.images, good.classes + 5, "is of class"),
    ):
        with pytest.raises(ValueError, match=words):
            greedy_search(backbone, CalibrationSet(images, classes, good.labels))
    vit = tiny_vit()
    with pytest.raises(ValueError, match="lacks; use visual_only"):
        greedy_search(vit, drawn_set(vit), SearchPlan(order="text_only"))


def test_an_objective_without_any_ood_patch_is_refused():
    backbone = tiny_vit()
    calibration = drawn_set(backbone)
    head = backbone.model.head
    head.weight.data.zero_()
    head.bias.data.zero_()  # all labels tie, so no label is pushed out
    search = greedy_search(backbone, calibration, SearchPlan(objective="auroc", top_k=3))
    with pytest.raises(ValueError, match="no patch is OOD with top-k 3"):
        next(search)


def test_the_default_top_k_is_three_tenths_of_the_labels():
    backbone = tiny_vit()
    trial = next(greedy_search(backbone, drawn_set(backbone)))
    assert trial.recipe.notes["top_k"] == 2
    assert trial.total == 3 * 9


def test_a_candidate_in_bf16_is_near_the_exact_one():
    backbone = tiny_clip()
    calibration = drawn_set(backbone)
    settings = {"ratios": (0, 0.3), "top_k": 2}
    exact = list(greedy_search(backbone, calibration, SearchPlan(**settings)))
    plan = SearchPlan(**settings, precision="bf16")
    for a, b in zip(exact, greedy_search(backbone, calibration, plan), strict=True):
        assert b.measures.losses.loss_id == pytest.approx(a.measures.losses.loss_id, rel=0.05)


@pytest.mark.parametrize("prune", ["minor", "principal"])
@pytest.mark.parametrize("kind", ["clip", "swin", "vit"])
def test_a_site_taken_apart_gives_what_its_smaller_matrix_gives(kind, prune):
    backbone = BACKBONES[kind]()
    tower = backbone.tower("visual")
    site = Site("visual", tower.block_id(1), "up")
    state = tower.part(tower.start(drawn_set(backbone).images), 0, 3)
    opened = SplitMatrix(site, backbone, (0, 0.1, 0.2, 0.4), prune)
    for ratio in (0.1, 0.4, 0.0, 0.2):
        replay = backbone.with_recipe(Recipe({site: ratio}, prune=prune)).tower("visual")
        found = opened.feed(0, state, backbone.spectrum(site).dropped(ratio))
        assert torch.allclose(found, replay.feed(1, state), atol=1e-5)


@pytest.mark.parametrize("prune", ["minor", "principal"])
def test_a_site_taken_apart_rounds_alike_whatever_ran_before(prune):
    backbone = tiny_clip()
    tower = backbone.tower("visual")
    site = Site("visual", 1, "up")
    state = tower.part(tower.start(drawn_set(backbone, n=40).images), 0, 3)
    ratios = (0, 0.05, 0.1, 0.2, 0.3, 0.4)
    counts = [backbone.spectrum(site).dropped(ratio) for ratio in ratios]
    opened = SplitMatrix(site, backbone, ratios, prune)
    in_turn = [opened.feed(0, state, count) for count in counts]
    for count, expected in zip(counts, in_turn, strict=True):
        for once in (False, True):
            fresh = SplitMatrix(site, backbone, ratios, prune, once)
            assert torch.equal(fresh.feed(0, state, count), expected)


def test_what_is_kept_is_said_in_three_digits():
    assert [written(count) for count in (0, 5, 5000, 104_857_600, 1_073_000_000, 2**30)] == [
        "0 B", "5 B", "4.88 KB", "100 MB", "1020 MB", "1 GB"
    ]  # fmt: skip
    assert parse_bytes(written(3 * 2**39)) == 3 * 2**39
    backbone = tiny_clip()
    said = []
    calibration, plan = drawn_set(backbone), SearchPlan(top_k=2)
    next(greedy_search(backbone, calibration, plan, memory=100 * 2**20, progress=said.append))
    assert re.search(r"\(\d+(\.\d+)? [KM]B of 60 MB\)", said[0])
