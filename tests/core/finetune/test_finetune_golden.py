"""Every step of the authors' own runs, and what their networks say afterwards."""

import json

import numpy as np
import pytest
import torch

from setar_core.finetune.plan import Plan
from setar_core.finetune.train import finetune
from setar_core.recipe import Recipe
from setar_core.scores import SCORES, ScoreOptions
from setar_core.scores.evidence import Evidence
from tests.core.finetune.conftest import (
    labels_of,
    network,
    numbers,
    pages,
    pictures,
    pixels,
)  # fmt: skip
from tests.core.test_golden import SCORE_PAIRS

RUNS = {
    "clip/finetune_setar_ft": "clip",
    "clip/finetune_lora": "clip",
    "finetune/clip_setar_ft": "clip",
    "finetune/clip_lora": "clip",
    "finetune/swin_setar_ft": "swin",
    "finetune/swin_setar_ft_other_weights": "swin",
    "finetune/swin_lora": "swin",
}
PROMPTS = [(name, run) for name in ("coop", "locoop") for run in pages(f"prompt_learning/{name}")]


def starts(path, family):
    """LoRA's first matrices by our sites."""
    where = "clip/finetune_lora" if path == "finetune/clip_lora" else path
    found = {}
    for key, value in numbers(where).items():
        if not key.startswith("init/"):
            continue
        parts = key.split(".")
        at = parts.index("layers")
        if family == "swin":
            site = f"visual.{parts[at + 1]}-{parts[at + 3]}.up"
        else:
            site = f"{'visual' if 'vision_model' in key else 'text'}.{parts[at + 1]}.up"
        found[f"{site}/{'A' if 'lora_A' in key else 'B'}"] = torch.from_numpy(value)
    return found or None


@pytest.fixture(scope="module", params=RUNS)
def run(request):
    family, page = RUNS[request.param], pages(request.param)
    settings = page["settings"]
    plan = Plan(
        moves={"setar_ft": "minor", "lora": "lora"}[settings["method"]],
        lambda_ood=settings["lambda"],
        top_k=settings["top_k"],
        rank=settings.get("r", 32),
        rate=settings["lr"],
        weight_decay=settings["wd"],
        augment=False,
    )
    recipe = Recipe.loads(json.dumps(settings["recipe"])) if "recipe" in settings else None
    images = pictures(family, tuple(settings["labels"]) if "labels" in settings else None)
    steps, adapter = [], None
    for step in finetune(
        network(family), images, labels_of(family), plan, recipe=recipe,
        start=starts(request.param, family), order=page["batches"],
    ):  # fmt: skip
        steps.append(step)
        adapter = step.adapter
    return request.param, family, page, steps, adapter


def test_every_step_is_the_authors(run):
    _, _, page, steps, _ = run
    assert len(steps) == len(page["trace"])
    for ours, theirs in zip(steps, page["trace"], strict=True):
        assert ours.rate == pytest.approx(theirs["lr"], rel=1e-9)
        assert ours.loss == pytest.approx(theirs["locoop_loss"], abs=5e-5)
        assert ours.loss_id == pytest.approx(theirs["loss_id"], abs=5e-5)
        assert ours.loss_ood == pytest.approx(theirs["loss_ood"], abs=5e-5)


def test_what_comes_of_it_is_the_authors(run):
    path, family, _, _, adapter = run
    after = network(family).with_adapter(adapter)
    logits = after.logits(after.features(pixels(family)), after.classifier(labels_of(family)))
    compared = 0
    for key, theirs in numbers(path).items():
        place = key.removeprefix("final/")
        if place.startswith("T"):
            temperature = int(place.split("/")[0][1:])
            ours, factor = SCORE_PAIRS[place.split("/")[1]]
            options = ScoreOptions(temperature / logits.scale)
            mine = SCORES[ours](Evidence(logits), options) * factor(logits.scale)
            np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-4, err_msg=key)
        elif place in ("logits_global", "logits_local"):
            mine = logits.whole if place == "logits_global" else logits.patches
            mine = mine[: len(theirs)].numpy().reshape(theirs.shape)
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4, err_msg=key)
        else:
            continue
        compared += 1
    assert compared


@pytest.mark.parametrize(("name", "which"), PROMPTS)
def test_prompt_learning_is_the_authors(name, which):
    page, found = pages(f"prompt_learning/{name}")[which], numbers(f"prompt_learning/{name}")
    settings = page["settings"]
    words = settings.get("ctx_init", settings["n_ctx"])
    plan = Plan(
        moves="context",
        loss="locoop" if name == "locoop" else "ce",
        lambda_ood=settings.get("lambda", 0.25),
        top_k=settings.get("top_k"),
        context=words,
        rate=settings["lr"],
        epochs=settings["epochs"],
        augment=False,
    )
    start = {"context": torch.from_numpy(found[f"{which}/ctx_init"])}
    network_ = network("clip")
    steps = finetune(
        network_, pictures("clip"), labels_of("clip"), plan, start=start, order=page["batches"]
    )
    adapter = None
    for step, theirs, after in zip(
        steps, page["trace"], found[f"{which}/ctx_after_each_step"], strict=True
    ):
        assert step.epoch == theirs["epoch"]
        assert step.rate == pytest.approx(theirs["lr"], rel=1e-9)
        assert step.loss == pytest.approx(theirs["loss"], abs=5e-5)
        assert step.accuracy == pytest.approx(theirs["acc"], abs=1e-3)
        if "loss_en" in theirs:
            assert step.loss_id == pytest.approx(theirs["loss_id"], abs=5e-5)
            assert step.loss_ood == pytest.approx(theirs["loss_en"], abs=5e-5)
        else:
            assert step.loss_ood is None
        adapter = step.adapter
        np.testing.assert_allclose(adapter.context.numpy(), after, rtol=0, atol=1e-4)
    after = network_.with_adapter(adapter)
    classifier = after.classifier(labels_of("clip"))
    logits = after.logits(after.features(pixels("clip")), classifier)
    for key, mine in {
        "text_features": classifier.weight,
        "logits_global": logits.whole,
        "logits_local": logits.patches[:8],
    }.items():
        if f"{which}/final/{key}" in found:
            theirs = found[f"{which}/final/{key}"]
            np.testing.assert_allclose(mine.numpy(), theirs, rtol=0, atol=1e-4, err_msg=key)
    for key, score in {"mcm": "mcm", "glmcm": "gl_mcm"}.items():
        if f"{which}/eval/{key}" in found:
            options = ScoreOptions(100 / logits.scale)
            mine = -SCORES[score](Evidence(logits), options).numpy()
            np.testing.assert_allclose(mine, found[f"{which}/eval/{key}"], rtol=1e-4)
