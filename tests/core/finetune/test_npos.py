"""NPOS against a plain transcription of the paper's formulas (arXiv:2303.02966)."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from setar_core.finetune.outliers import COUNT, DOWN, DOWN_BIAS, QUEUE, UP, UP_BIAS, Outliers
from setar_core.finetune.pictures import generator
from setar_core.finetune.plan import Plan, preset_plan
from setar_core.finetune.train import finetune
from tests.core.finetune.conftest import labels_of, network, pictures

PLAN = Plan(
    moves="full", loss="npos", queue=6, neighbours=2, boundary=3, drawn=20, kept=4, noise=0.3
)


def filled(plan=PLAN, classes=3, width=5, rounds=7):
    """Outliers whose first two classes have had enough features, with what they had."""
    outliers = Outliers(plan, classes, width, torch.device("cpu"))
    chance, memory, had = torch.Generator().manual_seed(1), outliers.memory, {}
    for _ in range(rounds):
        some = F.normalize(torch.randn(2, width, generator=chance), dim=1)
        for c in (0, 1):
            had.setdefault(c, []).append(some[c])
        memory = outliers.remembered(memory, some, torch.tensor([0, 1]))
    return outliers, memory, had


def test_each_class_keeps_its_last_features():
    _, memory, had = filled()
    for c in (0, 1):
        kept = {tuple(row.tolist()) for row in memory[QUEUE][c]}
        assert kept == {tuple(row.tolist()) for row in had[c][-PLAN.queue :]}
    assert memory[COUNT].tolist() == [7, 7, 0]


def test_what_is_drawn_is_the_papers():
    outliers, memory, _ = filled()
    step, chance, theirs = 11, generator(PLAN.seed, "outliers", 11), []
    for c in (0, 1):
        features = list(memory[QUEUE][c])
        far = [
            sorted(float((z - other).norm()) for other in features if other is not z)[1]
            for z in features
        ]
        edge = sorted(range(len(far)), key=lambda i: -far[i])[: PLAN.boundary]
        noise = torch.randn(PLAN.boundary, PLAN.drawn, 5, generator=chance)
        some = [features[i] + PLAN.noise * n for i, ns in zip(edge, noise, strict=True) for n in ns]
        far = [sorted(float((v - z).norm()) for z in features)[1] for v in some]
        best = sorted(range(len(far)), key=lambda i: -far[i])[: PLAN.kept]
        theirs += [some[i] for i in best]
    torch.testing.assert_close(outliers.drawn(memory, step), torch.stack(theirs))


def test_the_loss_and_its_gradients_are_the_papers():
    outliers, memory, _ = filled()
    drawn = F.normalize(outliers.drawn(memory, 3), dim=1)
    text = F.normalize(torch.randn(3, 5, generator=torch.Generator().manual_seed(2)), dim=1)
    image = F.normalize(torch.randn(4, 5, generator=torch.Generator().manual_seed(3)), dim=1)
    found = []
    for ours in (True, False):
        z = image.clone().requires_grad_()
        mlp = {name: x.clone().requires_grad_() for name, x in outliers.first.items()}
        if ours:
            loss = outliers.loss(mlp, 8 * z @ text.T, drawn, lambda x: 8 * x @ text.T)
        else:
            loss = torch.zeros(())
            for inside, rows in ((True, z), (False, drawn)):
                for row in rows:
                    energy = (8 * text @ row).exp().sum().log()
                    hidden = (mlp[UP][:, 0] * energy + mlp[UP_BIAS]).clamp(min=0)
                    p = 1 / (1 + (-(mlp[DOWN][0] @ hidden) - mlp[DOWN_BIAS][0]).exp())
                    loss = loss - (p if inside else 1 - p).log() / (len(z) + len(drawn))
        found.append((loss, *torch.autograd.grad(loss, [z, *mlp.values()])))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_no_class_with_enough_features_is_no_loss():
    outliers, memory, _ = filled(rounds=PLAN.neighbours)
    drawn = outliers.drawn(memory, 0)
    assert drawn.shape == (0, 5)
    assert outliers.loss(outliers.first, torch.ones(2, 3), drawn, lambda x: x) == 0


@pytest.mark.parametrize("family", ["clip", "swin"])
def test_a_run_draws_outliers_and_keeps_its_mlp_to_itself(family):
    plan = dataclasses.replace(
        preset_plan("npos", "tiny", len(labels_of(family))),
        blocks=1, epochs=4, batch_size=8, neighbours=1, queue=4, augment=False,
    )  # fmt: skip
    images = pictures(family)
    done = list(finetune(network(family), images, labels_of(family), plan))
    told = [step.loss_npos for step in done]
    assert told[0] == 0 and told[-1] > 0
    last = done[-1]
    assert last.loss == pytest.approx(last.loss_id + 0.1 * last.loss_npos, abs=1e-5)
    assert last.loss_ood is None
    assert all(name.startswith("visual.") for name in last.adapter.tensors)
    changed = network(family).with_adapter(last.adapter)
    assert changed.adapter is last.adapter and network(family).adapter is None
