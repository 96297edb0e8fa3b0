"""What a hostile visitor must not do to the others.

A mark says what does not hold yet; whoever mends it takes the mark away.
"""

import json
import shutil
import threading
import zipfile
from base64 import b64encode
from contextlib import suppress

import orjson
import pytest

from demo.api import Endpoints
from demo.api.calls import Calls
from demo.benchmark.sets import SetsAsked, opened
from demo.search.fit import labels_of
from demo.search.handlers import SearchHandlers
from demo.search.job import Search
from demo.search.request import SearchRequest
from demo.server.jobs import FAILED, Jobs, Progress, result_of
from demo.server.library import Library
from demo.server.limits import CALLS, ORPHANED, SEARCHES
from demo.server.settings import Settings
from demo.server.shipped import examples
from setar_core.detector import Detector
from setar_core.labels import PROMPT, LabelSet
from setar_core.recipe import Recipe
from setar_core.search.plan import SearchPlan
from tests.demo.asking import asking

TINY = "local-dir:clip"
FOX = ("fox", "bee")
HACKED = LabelSet(("AAFs1gkQ", "HACKED LABEL"))

# Two values each, whose SHA-256 begin with the same 32 bits: a minute's work for a visitor.
LABELS = {
    "a shipped set": (LabelSet.load("animals"), HACKED),
    "names": (LabelSet(("fox", "bee 39827")), LabelSet(("fox", "bee 97020"))),
    "prompts": (LabelSet(FOX, "{} 2839"), LabelSet(FOX, "{} 21582")),
}
RECIPES = {
    "sites": ('{"visual.0.up": 0.1047054}', '{"visual.proj": 0.8094013}'),
    "ratios": ('{"visual.0.up": 0.1004096}', '{"visual.0.up": 0.10220470000000001}'),
    "seeds": tuple(f'{{"visual.0.up": 0.5}}, "prune": "random", "seed": {i}' for i in (511, 35721)),
}
RECIPES = {
    kind: tuple(Recipe.loads(f'{{"ratios": {text}}}') for text in pair)
    for kind, pair in RECIPES.items()
}
alike_labels = pytest.mark.parametrize("pair", LABELS.values(), ids=LABELS)
alike_recipes = pytest.mark.parametrize("pair", RECIPES.values(), ids=RECIPES)


@pytest.fixture(scope="module")
def library(golden):
    return Library([f"local-dir:{golden / 'clip'}"])


def asked(library, labels="fox\nbee", recipe="none", prompt=PROMPT, score="mcm"):
    """The endpoint's answer about one picture."""
    fox = "data:image/webp;base64," + b64encode(examples()[0].read_bytes()).decode()
    ask = Endpoints(library).verdict
    return ask([fox], labels, prompt, TINY, recipe, score, threshold="0.5")


# Shared stores are keyed by the whole value


@alike_labels
def test_labels_that_share_32_bits_do_not_answer_for_each_other(pair, library):
    found = [result_of(library.detector(TINY, None, labels)) for labels in pair]
    assert [detector.labels for detector in found] == list(pair)


def test_a_shipped_set_is_answered_with_its_own_labels(golden):
    library = Library([f"local-dir:{golden / 'clip'}"])
    asked(library, "\n".join(HACKED.names))
    answer = asked(library, "animals")
    top = {found["label"] for found in answer["images"][0]["original"]["top"]}
    assert top <= set(answer["settings"]["labels"])


@alike_recipes
def test_a_recipe_is_judged_by_its_own_weights(pair, library):
    assert [library.backbone(TINY, recipe).recipe for recipe in pair] == list(pair)


@alike_recipes
def test_a_title_names_one_recipe(pair, library):
    titles = [library.keep_recipe(recipe, "searched") for recipe in pair]
    assert [library.made_recipe(title) for title in titles] == list(pair)


@alike_recipes
def test_another_recipe_voids_the_thresholds(pair):
    before, now = (Settings(TINY, LabelSet(FOX), recipe) for recipe in pair)
    assert now.changed(before) == ["recipe"]


@pytest.mark.parametrize("kind", [*LABELS, *RECIPES])
def test_a_threshold_does_not_hold_for_what_shares_32_bits(kind, library):
    backbone = library.backbone(TINY)
    if kind in LABELS:
        one, other = (Detector(backbone, labels) for labels in LABELS[kind])
    else:
        one, other = (Detector(backbone.with_recipe(r), LabelSet(FOX)) for r in RECIPES[kind])
    assert one.context.changes(other.context)


def test_a_trace_of_other_labels_is_not_said_to_be_of_a_shipped_set():
    first = {"fingerprint": {"labels": HACKED.fingerprint}}
    assert labels_of(json.dumps(first)) != "animals"


# A line that cannot be held


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def searches(library):
    """Handlers whose searches stand still until they are not wanted."""
    over = threading.Event()
    handlers = SearchHandlers(library, Jobs(**SEARCHES._asdict(), clock=Clock()))

    def start(page):
        def stands(trace):
            while not over.wait(0.01):
                yield Progress("standing still")

        return handlers.jobs.start(
            Search(SearchRequest(TINY, LabelSet(FOX), SearchPlan()), stands), page
        )

    handlers.start = start
    yield handlers
    over.set()


def test_watchers_that_never_poll_again_do_not_hold_the_line(searches):
    jobs = [searches.start(f"page {i}") for i in range(SEARCHES.longest)]
    searches.jobs.clock.now += ORPHANED + 1
    assert not any(job.wanted() for job in jobs)
    assert searches.start("another").active


def test_a_late_poll_of_a_closed_page_does_not_keep_a_search_alive(searches):
    job = searches.start("page")
    searches.poll(job.name, None)
    searches.jobs.clock.now += ORPHANED + 1
    assert not job.wanted()


def test_who_polls_keeps_the_search(searches):
    job = searches.start("page")
    for _ in range(60):
        searches.jobs.clock.now += ORPHANED / 2
        searches.poll(job.name, None)
        assert job.wanted()


def test_one_visitor_does_not_fill_the_line(searches):
    for _ in range(SEARCHES.longest):
        with suppress(ValueError):
            searches.start("one")
    assert searches.start("another").active


@pytest.mark.parametrize("inside", ["shipped:id", "zip"])
def test_all_zips_of_a_run_have_one_budget(inside, library, tmp_path):
    first = tmp_path / "set.zip"
    with zipfile.ZipFile(first, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/0.png", bytes(19_800_000))
    zips = [str(shutil.copy(first, tmp_path / f"set{i}.zip")) for i in range(3)]
    own = zips.pop() if inside == "zip" else None
    sets = SetsAsked(inside, own, (), tuple(zips))
    with pytest.raises(ValueError, match="MB"):
        result_of(opened(library, sets, LabelSet.load("animals"), tmp_path))


# What is accepted can be answered, and what is not is refused in a sentence

HEAD = '{"ratios": {"visual.1.up": 0.2}, '
LONG = '"' + "x" * 50_000 + '"'
ODD = {
    "deep notes": f'{HEAD}"notes": {{"a": {"[" * 400}{"]" * 400}}}}}',
    "deep entries": "[" * 900 + "]" * 900,
    "a giant integer": f'{HEAD}"notes": {{"x": 1{"0" * 400}}}}}',
    "an integer that Python does not read": f'{HEAD}"notes": {{"x": 1{"0" * 5000}}}}}',
    "a giant seed": f'{HEAD}"prune": "random", "seed": {2**64}}}',
    "a giant block": f'{{"ratios": {{"visual.{"1" * 5000}.up": 0.2}}}}',
    "a lone surrogate": f'{HEAD}"notes": {{"x": "\\ud800"}}}}',
    "a key that is a lone surrogate": f'{HEAD}"notes": {{"\\ud800": 1}}}}',
    "nan": f'{HEAD}"notes": {{"x": NaN}}}}',
    "infinity": f'{HEAD}"notes": {{"x": 1e999}}}}',
    "a long ratio": f'{{"ratios": {{"visual.1.up": {LONG}}}}}',
    "a long entry": f"[[{LONG}]]",
    **{f"a long {name}": f'{HEAD}"{name}": {LONG}}}' for name in ("notes", "seed", "backbone")},
}
ODD = {kind: {"recipe": recipe} for kind, recipe in ODD.items()}
ODD |= {
    "labels with a lone surrogate": {"labels": "\ud800\nfox"},
    "a prompt with a lone surrogate": {"prompt": "\ud800 {}"},
    "a long score": {"score": LONG},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_is_accepted_is_answered_in_strict_json_or_refused_in_a_sentence(odd, library):
    try:
        answer = asked(library, **odd)
    except ValueError as error:
        said = str(error)
        assert said.encode() and len(said) <= 500 and "\n" not in said
        assert "sys." not in said  # Python's words, not ours
    else:
        json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
        orjson.dumps(answer)  # as it is sent: no deeper, no larger numbers


# Limits of a public host


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [("PUBLIC_CANDIDATES", 20, "at most 20"), ("PUBLIC_MINUTES", 0.0, "a public host gives it 0")],
)
def test_a_public_host_runs_no_search_that_is_too_long(limit, value, said, golden, monkeypatch):
    monkeypatch.setattr(f"demo.search.work.{limit}", value)
    for public in (True, False):
        library = Library([f"local-dir:{golden / 'clip'}"], public=public)
        labels = LabelSet(tuple(sorted(p.name for p in (golden / "clip" / "images").iterdir())))
        monkeypatch.setattr(
            "demo.search.work.calibration_folders",
            lambda names: [golden / "clip" / "images" / name for name in names],
        )
        handlers = SearchHandlers(library)
        plan = SearchPlan(ratios=(0.0, 0.2, 0.4), top_k=2)
        request = SearchRequest(TINY, labels, plan)
        job = handlers.jobs.find(handlers._started(request).name)
        job.wait(240)
        assert (said in job.problem) is public, job.problem
        assert (job.state == FAILED) is public


def test_one_visitor_has_a_part_of_the_calls():
    calls, over = Calls(), threading.Event()
    inside = threading.Semaphore(0)

    def call():
        with asking("many"), calls.one():
            inside.release()
            over.wait(60)

    threads = [threading.Thread(target=call) for _ in range(CALLS.each)]
    for thread in threads:
        thread.start()
        assert inside.acquire(timeout=60)
    with asking("many"), pytest.raises(ValueError, match="of yours"), calls.one():
        pass
    with asking("you"), calls.one():
        over.set()
    for thread in threads:
        thread.join()
    with asking("many"), calls.one():
        assert calls._running == {"many": 1}
    assert not calls._running
