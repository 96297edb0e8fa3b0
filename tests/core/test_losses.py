"""The LoCoOp loss equals its definition, written out patch by patch."""

import math

import pytest
import torch

from setar_core.backbones import Logits
from setar_core.losses import locoop_loss, ood_patches, terms
from setar_core.scores import ALONE, SCORES, ScoreOptions
from setar_core.scores.evidence import Evidence
from setar_core.search.objective import losses, patch_scores


def drawn(n=7, patches=6, labels=9, scale=20.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    whole = scale * torch.rand(n, labels, generator=generator)
    local = scale * torch.rand(n, patches, labels, generator=generator)
    classes = torch.randint(labels, (n,), generator=generator)
    return Logits(whole, local, (2, patches // 2), scale), classes


def by_hand(logits, classes, lambda_ood, top_k, batch_size, predicted=False):
    """Batch by batch, image by image, patch by patch, with a sort."""
    total_id = total_ood = 0.0
    for first in range(0, len(logits), batch_size):
        rows = range(first, min(first + batch_size, len(logits)))
        inside, outside = [], []
        for i in rows:
            p = logits.whole[i].double().softmax(0)
            inside.append(-math.log(p[classes[i]]))
            own = int(logits.whole[i].argmax()) if predicted else int(classes[i])
            for patch in logits.local[i].double():
                if own not in patch.topk(top_k).indices.tolist():
                    q = patch.softmax(0)
                    outside.append(float((q * (q + 1e-5).log()).sum()))
        total_id += sum(inside)
        total_ood += len(rows) * (sum(outside) / len(outside) if outside else 0.0)
    n = len(logits)
    return total_id / n + lambda_ood * total_ood / n, total_id / n, total_ood / n


@pytest.mark.parametrize("predicted", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 512])
@pytest.mark.parametrize("top_k", [1, 4, 8])
def test_losses_are_their_definition(top_k, batch_size, predicted):
    logits, classes = drawn()
    found = losses(terms(logits, classes, top_k, predicted), 0.3, batch_size)
    expected = by_hand(logits, classes, 0.3, top_k, batch_size, predicted)
    assert found[:3] == pytest.approx(expected, abs=1e-5)


def test_without_ood_patches_the_ood_loss_is_zero():
    logits, classes = drawn()
    local = logits.local.clone()
    local[torch.arange(7), :, classes] = 100.0
    found = losses(terms(Logits(logits.whole, local, (2, 3), 1.0), classes, 2), 0.5, 4)
    assert (found.loss_ood, found.ood_patch_percent) == (0.0, 0.0)
    assert found.locoop_loss == found.loss_id


def test_labels_that_tie_do_not_push_the_own_one_out():
    local = torch.tensor([[[1.0, 1.0, 1.0], [2.0, 1.0, 0.0], [2.0, 0.0, 1.5]]])
    assert ood_patches(local, torch.tensor([1]), 1).tolist() == [[False, True, True]]
    assert ood_patches(local, torch.tensor([1]), 2).tolist() == [[False, False, True]]


def test_the_loss_of_a_batch_has_the_gradient_of_its_definition():
    logits, classes = drawn(scale=3.0)
    whole, local = (x.double().requires_grad_() for x in (logits.whole, logits.local))
    loss = locoop_loss(Logits(whole, local, (2, 3), 1.0), classes, 0.25, 3)
    assert float(loss.detach()) == pytest.approx(by_hand(logits, classes, 0.25, 3, 7)[0], abs=1e-9)

    def again(whole, local):
        return locoop_loss(Logits(whole, local, (2, 3), 1.0), classes, 0.25, 3)

    assert torch.autograd.gradcheck(again, (whole, local), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("name", ALONE)
def test_ood_patches_are_scored_as_images_of_their_own(name):
    logits, classes = drawn(scale=9.0)
    ood = ood_patches(logits.local, classes, 3)
    ood[2] = False  # an image without any
    options, expected = ScoreOptions(0.7), []
    for i in range(len(logits)):
        patches = logits.local[i][ood[i]]
        for patch in patches:
            alone = Logits(patch[None], patches[None], (1, len(patches)), 9.0)
            expected.append(float(SCORES[name](Evidence(alone), options)))
    found = patch_scores(SCORES[name], logits, ood, options)
    torch.testing.assert_close(found[ood], torch.tensor(expected))
