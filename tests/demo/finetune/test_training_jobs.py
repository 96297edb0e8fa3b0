"""Trainings as the page asks for them, on a tiny CLIP: begun, stopped, resumed, used, refused."""

import zipfile

import pytest

from demo.finetune import words
from demo.finetune.handlers import TrainingHandlers
from demo.finetune.request import SHIPPED
from demo.server.jobs import FINISHED, STOPPED, Jobs
from demo.server.library import Library
from demo.server.request import read_settings
from setar_core.adapter import Adapter
from setar_core.labels import PROMPT
from tests.demo.finetune.asking import SLOW, asked, started, until


@pytest.fixture(scope="module")
def library(golden):
    return Library([f"local-dir:{golden / 'clip'}"])


@pytest.fixture
def handlers(library):
    handlers = TrainingHandlers(library)
    yield handlers
    for _, job in handlers.jobs._kept.items():
        handlers.jobs.stop(job)
        job.wait(SLOW)


def test_a_training_ends_with_something_to_use(handlers, library, zipped):
    page, job = started(handlers, asked(zipped))
    job.wait(SLOW)
    assert job.state == FINISHED, job.problem
    assert (len(job.points), len(job.epochs)) == (job.ready.steps, 3) == (6, 3)
    held = job.ready.held
    assert len(held.inside) == 4 and not set(held.inside) & set(job.ready.held.outside)
    assert job.ready.images == 20 and len(job.ready.problems) == 1
    assert any(n.kind == "warn" and "held back" in n.sentence for n in words.state(job, []))
    whole = handlers.poll(page.name, None)
    assert whole.keeping["visible"] if isinstance(whole.keeping, dict) else whole.keeping.visible
    backbone, title = handlers.use(page.name)
    settings = read_settings(library, backbone, "cat\ndog", PROMPT, title, "mcm", 1.0, 1.0)
    assert isinstance(settings.recipe, Adapter)
    altered = library.backbone(backbone, settings.recipe)
    assert altered.adapter is settings.recipe
    assert Adapter.load(handlers.saved(page.name)).fingerprint == settings.recipe.fingerprint


def test_what_was_stopped_ends_as_if_it_had_not_been(handlers, zipped):
    controls = asked(zipped, epochs=30)
    page, job = started(handlers, controls)
    until(lambda: len(job.points) > 3)
    handlers.stop(page.name)
    job.wait(SLOW)
    assert job.state == STOPPED and job.resumable and len(job.points) < job.ready.steps
    seen = [point.step for point in job.points]
    handlers.resume(page.name)
    job.wait(SLOW)
    assert job.state == FINISHED, job.problem
    assert [point.step for point in job.points] == list(range(job.ready.steps))
    assert len(seen) < job.ready.steps
    _, other = started(handlers, controls)
    other.wait(SLOW)
    assert other.adapter.fingerprint == job.adapter.fingerprint


def test_an_estimate_makes_two_steps(handlers, zipped):
    page = handlers.estimate(*asked(zipped, epochs=40))
    job = handlers.jobs.find(page.name)
    job.wait(SLOW)
    assert job.is_estimate and len(job.points) == 2 and not job.epochs
    assert "About" in words.state(job, [])[0].sentence
    with pytest.raises(ValueError, match="nothing was trained"):
        handlers.use(page.name)


def test_a_second_visitor_waits_and_is_told(library, zipped):
    handlers = TrainingHandlers(library, Jobs(at_once=1, kept=4))
    page, first = started(handlers, asked(zipped, epochs=200))
    other, second = started(handlers, asked(zipped))
    assert "another training is before yours" in handlers.poll(other.name, None).state.sentence
    handlers.stop(page.name)
    second.wait(SLOW)
    assert first.state == STOPPED and second.state == FINISHED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"preset": "setar-ft"}, "no recipe is chosen"),
        ({"preset": "adam"}, "unknown"),
        ({"zip": None}, "no zip is here"),
        ({"source": SHIPPED, "zip": None}, "no shipped pictures"),
        ({"epochs": None}, "epochs is empty"),
        ({"epochs": 1.5}, "whole number"),
        ({"epochs": 0}, "at least 1"),
        ({"rate": -1}, "rate is -1"),
        ({"context": "a  b"}, "one space between"),
        ({"seed": float("inf")}, "whole number"),
    ],
)
def test_what_cannot_be_trained_is_refused(handlers, zipped, changes, reason):
    page = handlers.train(*asked(zipped, **changes))
    assert page.state.kind == "bad" and reason in page.state.sentence.lower()


def test_a_zip_without_class_folders_says_what_it_should_hold(handlers, tmp_path, zipped):
    path = tmp_path / "flat.zip"
    with zipfile.ZipFile(path, "w") as archive, zipfile.ZipFile(zipped[0]) as other:
        archive.writestr("a.png", other.read(other.namelist()[0]))
    _, job = started(handlers, asked((str(path), zipped[1])))
    job.wait(SLOW)
    assert job.problem.startswith("flat.zip holds no folders")


def test_a_stranger_finds_nothing(handlers):
    for name in (None, "", "x", 3, {"a": 1}):
        assert handlers.poll(name, None).clock.active is False
        assert handlers.found(name or "gone").name is None
    assert handlers.resume("x").state.kind == "bad"
