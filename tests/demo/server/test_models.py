"""Which backbones a visitor may load, how many, and what they cost the others."""

import threading
import time
from types import SimpleNamespace

import pytest

from demo.page import choices, links
from demo.page.events import KEEP
from demo.page.session import status_of
from demo.server.library import Library
from demo.server.limits import LOADS, MAX_FETCHED
from demo.server.models import without_folders
from demo.server.request import NO_RECIPE
from demo.server.shipped import EMBEDDED
from setar_core.labels import PROMPT
from tests.demo.asking import asking
from tests.demo.told import is_bad, words


class Loader:
    """`load_backbone` without networks: `gate` holds visitors' loads, bad names fail."""

    def __init__(self):
        self.limits, self.inside, self.most = {}, 0, 0
        self.devices = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, name, device, progress, limit=None):
        self.limits[name] = limit
        self.devices.append(device)
        if limit is not None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.gate.wait(10)
            self.inside -= 1
        if "none" in name:
            raise ValueError(f"unknown backbone {name}")
        return SimpleNamespace(
            name=name, has_text=True, unknown_words=lambda text: (), doubts=lambda labels: ()
        )


@pytest.fixture
def loader(monkeypatch):
    loader = Loader()
    monkeypatch.setattr("setar_core.backbones.load_backbone", loader)
    names = {"cuda:1": "cuda:1 (a card)"}
    monkeypatch.setattr("setar_core.backbones.device.title", lambda name: names.get(name, name))
    yield loader
    loader.gate.set()


def until(true):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_only_a_visitors_choice_has_a_limit(loader):
    library = Library(["emoji", "ViT-L-14/openai"])
    for name in ("emoji", "ViT-L-14/openai", "ViT-B-16/openai"):
        library.backbone(name)
    assert loader.limits == {
        "emoji": None,
        "ViT-L-14/openai": None,
        "ViT-B-16/openai": MAX_FETCHED,
    }


def test_names_that_lead_nowhere_cost_nobody_a_loaded_backbone(loader):
    library = Library()
    library.backbone(EMBEDDED)
    library.backbone("ViT-B-16/openai")
    for i in range(5):
        with pytest.raises(ValueError, match="unknown backbone"):
            library.backbone(f"none-{i}/x")
    assert library.is_loaded(EMBEDDED) and library.is_loaded("ViT-B-16/openai")


def test_the_first_and_the_embedded_one_stay(loader):
    library = Library(["ViT-L-14/openai"])
    for name in ("ViT-L-14/openai", EMBEDDED, "A/x", "B/x", "C/x"):
        library.backbone(name)
    loaded, _ = library.status()
    assert loaded == ["ViT-L-14/openai", EMBEDDED, "C/x"]


def test_one_is_loaded_at_a_time_and_the_next_says_so(loader):
    library = Library()
    library.backbone(EMBEDDED)
    loader.gate.clear()
    jobs = []
    for i in range(LOADS.longest):
        with asking(f"visitor {i}"):
            jobs.append(library.open(f"A{i}/x"))
    told = [job.progress.sentence for job in jobs]
    assert sum("waiting until another" in sentence for sentence in told) == LOADS.longest - 1
    with pytest.raises(ValueError, match="4 others are on their way"):
        library.open("one-more/x")
    assert library.is_loaded(EMBEDDED) and library.open(EMBEDDED).outcome()  # it waits for nobody
    loader.gate.set()
    for job in jobs:
        job.outcome()
    assert loader.most == 1


def test_a_load_that_fails_is_tried_once(loader):
    library = Library()
    with pytest.raises(ValueError, match="unknown backbone"):
        list(library.loading("none/x"))
    loader.limits.clear()
    asked = ("none/x", "cat\ndog", PROMPT, NO_RECIPE, None)
    steps = list(choices.backbone_chosen(library, *asked))
    assert is_bad(steps[-1].notice)
    assert list(loader.limits) == ["none/x"]


def test_no_folder_of_the_server_is_in_a_message(golden):
    folder = golden / "swin"
    library = Library([f"timm:local-dir:{folder}", "local-dir:/srv/models/absent"])
    swin = library.backbone("timm:local-dir:swin")
    from setar_core.labels import LabelSet
    from setar_core.recipe import Recipe, Site

    said = []
    for ask in (
        lambda: swin.classifier(LabelSet(("cat", "dog"))),
        lambda: swin.with_recipe(Recipe({Site("text", 0, "up"): 0.1})),
        lambda: swin.with_recipe(Recipe({}, "ViT-B-16/openai")),
        lambda: library.backbone("local-dir:absent"),
    ):
        with pytest.raises(ValueError, match=r"swin|absent") as error:
            ask()
        said.append(str(error.value))
    assert not any(str(golden) in text or "/srv" in text for text in said)
    assert without_folders("see https://example.org/a/b, /srv/a b/c and ViT-B-16/openai") == (
        "see https://example.org/a/b, a b/c and ViT-B-16/openai"
    )


def test_a_page_that_opens_waits_for_no_slow_backbone(loader):
    library = Library()
    library.backbone(EMBEDDED)
    loader.gate.clear()
    found = links.read(library, {"backbone": "ViT-B-16/openai", "score": "energy"})
    assert (found.backbone, found.score) == ("ViT-B-16/openai", "energy")
    assert not library.is_loaded("ViT-B-16/openai")
    coming = links.arrived(library, "ViT-B-16/openai", found.labels)
    assert "Loading ViT-B-16/openai" in words(next(coming).notice)
    loader.gate.set()
    last = list(coming)[-1]
    assert "labels" in words(last.label_count) and last.recipe == KEEP
    assert [step.notice for step in links.arrived(library, EMBEDDED, "cat\ndog")] == [KEEP]


def test_a_visitor_chooses_among_several_devices(loader):
    library = Library(devices=["cpu", "cuda:1"])
    assert status_of(library).device == "cpu, cuda:1"
    other = f"{EMBEDDED} @ cuda:1"
    assert [name for name in library.backbones() if EMBEDDED in name] == [EMBEDDED, other]
    assert links.read(library, {"backbone": other}).backbone == other
    for name in (EMBEDDED, f"{EMBEDDED} @ cpu", other):
        assert library.backbone(name).name == EMBEDDED
    assert loader.devices == ["cuda:1", "cpu"]
    assert status_of(library).device == "cpu, cuda:1 (a card)"
    assert library.recipes(other) == library.recipes(EMBEDDED) != {}
    with pytest.raises(ValueError, match="cannot be opened"):
        library.open(f"{EMBEDDED} @ cuda:7")
