"""A device that is not there, taken, or too small: smaller chunks, then one line."""

import re

import pytest
import torch

from setar_core.__main__ import main
from setar_core.backbones import BackboneError, load_backbone
from setar_core.backbones.clip import ImageTower
from setar_core.backbones.device import check_device, place, title
from setar_core.data.calibration import CalibrationSet
from setar_core.labels import LabelSet
from setar_core.memory import OutOfMemory, plain_if_full, smaller_if_full
from setar_core.search.greedy import greedy_search
from setar_core.search.plan import SearchPlan

CPU = torch.device("cpu")
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total")


@pytest.fixture
def world(golden):
    backbone = load_backbone(f"local-dir:{golden / 'clip'}")
    labels = LabelSet.load(golden / "clip" / "labels.json")
    images = golden / "clip" / "images"
    return backbone, CalibrationSet.from_folder(images, labels, backbone.preprocess)


@pytest.fixture
def holding(monkeypatch):
    """Lets image towers hold so many images at once; tells how many they were given each time."""

    def holding(most: int) -> list[int]:
        given, attend = [], ImageTower.attend

        def watched(self, i, state):
            given.append(len(state))
            if len(state) > most:
                raise FULL
            return attend(self, i, state)

        monkeypatch.setattr(ImageTower, "attend", watched)
        return given

    return holding


@pytest.mark.parametrize("total", [1, 2, 7, 32])
@pytest.mark.parametrize("most", [1, 3, 5])
def test_smaller_chunks_are_tried(total, most):
    def work(piece: slice) -> list[int]:
        some = list(range(total))[piece]
        if len(some) > most:
            raise RuntimeError("not enough memory: you tried to allocate 9 bytes")
        return some

    found = [i for _, some in smaller_if_full(work, total, 16, CPU) for i in some]
    assert found == list(range(total))


def test_another_error_is_none_of_memory():
    with pytest.raises(RuntimeError, match="shapes"):
        list(smaller_if_full(lambda piece: torch.ones(2, 3) @ torch.ones(2, 3), 4, 4, CPU))
    with pytest.raises(RuntimeError, match="a fault"), plain_if_full("reading"):
        raise RuntimeError("a fault")


def test_features_and_logits_of_fewer_images_at_once(monkeypatch, world, holding):
    backbone, calibration = world
    classifier = backbone.classifier(calibration.labels)
    whole = backbone.features(calibration.images)
    given = holding(3)
    parts = backbone.features(calibration.images)
    assert max(given[-2:]) <= 3 < given[0]
    for one, other in zip(whole[:2], parts[:2], strict=True):
        torch.testing.assert_close(one, other)
    logits = type(backbone).logits

    def small(self, features, *more):
        if len(features.whole) > 2:
            raise FULL
        return logits(self, features, *more)

    monkeypatch.setattr(type(backbone), "logits", small)
    pieces = [some.whole for _, some in backbone.logits_in_pieces(parts, classifier)]
    assert max(map(len, pieces)) <= 2 and sum(map(len, pieces)) == len(calibration)


@pytest.mark.parametrize("most", [1, 2])
def test_a_search_goes_on_with_fewer_images_at_once(world, holding, most):
    backbone, calibration = world
    plan = SearchPlan(ratios=(0.0, 0.2, 0.4))
    expected = list(greedy_search(backbone, calibration, plan))
    holding(most)
    found = list(greedy_search(backbone, calibration, plan))
    assert found[-1].recipe.ratios == expected[-1].recipe.ratios
    for one, other in zip(found, expected, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=5e-5)


def test_memory_that_runs_out_in_the_middle_changes_nothing(world, monkeypatch):
    """Another process may take it at any time: after each candidate once."""
    backbone, calibration = world
    plan = SearchPlan(ratios=(0.0, 0.2, 0.4))
    expected = list(greedy_search(backbone, calibration, plan))
    attend, left = ImageTower.attend, [0]

    def failing(self, i, state):
        left[0] -= 1
        if left[0] == 0:
            raise FULL
        return attend(self, i, state)

    monkeypatch.setattr(ImageTower, "attend", failing)
    found = []
    for trial in greedy_search(backbone, calibration, plan):
        found.append(trial)
        left[0] = 2 if len(found) in (1, 4) else 0  # the images can be halved twice
    assert [t.recipe.ratios for t in found] == [t.recipe.ratios for t in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=5e-5)


def test_what_does_not_fit_at_all_is_refused(world, holding):
    backbone, calibration = world
    holding(0)
    with pytest.raises(OutOfMemory, match="not even one image fits, and cpu is full; use fewer"):
        backbone.features(calibration.images)
    with pytest.raises(OutOfMemory, match="a search does not fit even with one image at a time"):
        next(greedy_search(backbone, calibration, SearchPlan()))


def test_a_command_says_it_in_one_line(golden, holding, capsys):
    holding(0)
    folder = golden / "clip"
    labels = ["--labels", str(folder / "labels.json")]
    images = str(folder / "images")
    given = ["--backbone", f"local-dir:{folder}", "--threshold", "0", *labels, images]
    assert main(["verdict", *given]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: out of memory: not even one image fits")


def test_a_network_too_large_for_the_card_is_refused_with_what_would_fit(card, monkeypatch):
    def full(self, device):
        raise FULL

    model = torch.nn.Linear(1000, 1000)
    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(OutOfMemory) as error:
        place(model, "large", card.name)
    assert re.match(
        r"large takes 3\.82 MB, and \S+ GB of \S+ GB are free on cuda", str(error.value)
    )


def test_a_card_that_another_process_keeps_is_told(monkeypatch):
    def busy(self, device):
        raise RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA")

    monkeypatch.setattr(torch.nn.Module, "to", busy)
    with pytest.raises(BackboneError, match=r"cuda:0 is kept by another process.*use cpu"):
        place(torch.nn.Linear(2, 2), "any", "cuda:0")


@pytest.mark.parametrize(
    ("name", "count", "built", "said"),
    [
        ("cuda", 0, True, "PyTorch finds no card or no driver for it; use cpu"),
        ("cuda", 0, False, "this PyTorch was built without CUDA; use cpu, or install"),
        ("cuda:2", 2, True, "its cards are cuda:0 and cuda:1; use one of them or cpu"),
        ("cuda:9", 1, True, "its only card is cuda:0; use that or cpu"),
    ],
)
def test_a_card_that_is_not_there_is_refused_with_the_reason(monkeypatch, name, count, built, said):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    with pytest.raises(BackboneError, match=said):
        check_device(name)


def test_a_card_is_called_by_its_name(card):
    assert title("cpu") == "cpu"
    assert title("cuda:0").startswith("cuda:0 (")
