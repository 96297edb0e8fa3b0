"""Labels by example: the mix by its formula, and what held pictures say of it."""

import pytest
import torch
import torch.nn.functional as F

from setar_core.backbones import load_backbone
from setar_core.backbones.base import Classifier
from setar_core.backbones.examples import Examples, held_accuracy, read_examples, with_examples
from setar_core.data.sets import ImageSet
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.paths import BENCHMARK

TEXT = F.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
SHOWN = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
EXAMPLES = Examples(SHOWN, torch.tensor([0, 0, 2, 2, 2]))


def test_a_row_is_the_mix_of_text_and_mean_and_a_label_without_pictures_its_text():
    made = with_examples(Classifier(TEXT, None), EXAMPLES, 0.25).weight
    mean = F.normalize(SHOWN[:2].mean(0), dim=0)
    torch.testing.assert_close(made[0], F.normalize(0.75 * TEXT[0] + 0.25 * mean, dim=0))
    assert torch.equal(made[1], TEXT[1])
    torch.testing.assert_close(made.norm(dim=-1), torch.ones(3))


def test_the_share_is_from_nothing_to_all():
    plain = Classifier(TEXT, None)
    torch.testing.assert_close(with_examples(plain, EXAMPLES, 0).weight, TEXT)
    mean = F.normalize(SHOWN[2:].mean(0), dim=0)
    torch.testing.assert_close(with_examples(plain, EXAMPLES, 1).weight[2], mean)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="the share of examples is"):
            with_examples(plain, EXAMPLES, share)


def test_held_pictures_are_never_among_those_that_judge_them():
    one, other = EXAMPLES.halves()
    assert one.classes.tolist() == [0, 2, 2] and other.classes.tolist() == [0, 2]
    apart = Examples(torch.eye(8)[:4], torch.tensor([0, 0, 1, 1]))  # no two of a label are alike
    held = held_accuracy(Classifier(torch.eye(8)[[0, 2]], None), apart, 1.0)
    assert held.pictures == 4 and held.text == 0.75  # one tie, which goes to the first label
    with pytest.raises(ValueError, match="no label has two examples"):
        held_accuracy(Classifier(TEXT, None), Examples(SHOWN[:2], torch.tensor([0, 1])))


def test_examples_make_another_detector_whose_threshold_is_its_own():
    backbone, labels = load_backbone("emoji"), LabelSet(("fox", "owl", "bee"))
    images = ImageSet.from_folder(BENCHMARK / "calibration", None, LabelSet.load("animals"))
    wanted = [
        (path, labels.names.index(path.parent.name))
        for path in images.paths()
        if path.parent.name in labels.names
    ]
    examples = read_examples(backbone, *map(list, zip(*wanted, strict=True)))
    plain = Detector(backbone, labels)
    mixed = Detector(backbone, labels, classifier=with_examples(plain.classifier, examples))
    assert plain.context.changes(mixed.context) == ("examples",)
    assert "examples" not in plain.context.page()
    path = next(path for path, _ in wanted)
    assert mixed.verdict(path).score != plain.verdict(path).score
    assert held_accuracy(plain.classifier, examples).pictures == len(wanted)


def test_a_classifier_takes_no_examples(golden):
    swin = load_backbone(f"timm:local-dir:{golden / 'swin'}")
    with pytest.raises(ValueError, match="no picture can be mixed"):
        read_examples(swin, [], [])
