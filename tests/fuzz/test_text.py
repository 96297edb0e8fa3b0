"""Mutated text files: recipes, labels, traces, journals and score files, and links."""

import io
import json
import math
import random
from urllib.parse import parse_qsl, urlencode

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.page import links
from demo.server.library import Library
from setar_core.backbones import load_backbone
from setar_core.benchmark.run import Benchmark
from setar_core.benchmark.scorebook import Scorebook
from setar_core.commands.metrics import read_scores
from setar_core.commands.scored.table import ScoreTable
from setar_core.data.names import Names
from setar_core.data.negatives import Negatives
from setar_core.data.sets import ImageSet
from setar_core.detector import Detector
from setar_core.labels import LabelSet
from setar_core.paths import RECIPES
from setar_core.recipe import Recipe
from setar_core.search.trace import Trace, replay
from tests.fuzz.mutate import hunt, is_taken

# What JSON can write and few expect, to be spliced in.
ODD = [b"NaN", b"-Infinity", b"1e999", b"1" * 400, b'"\\ud800"', b"null", b"[[]]", b'{"":0}', b"-0"]
RECIPE = {"backbone": None, "prune": "random", "seed": 3, "ratios": {"visual.1.up": 0.2},
          "notes": {"plan": {"ratios": [0, 0.1]}}}  # fmt: skip
AUTHORS = [["visual", "W_up", 11, 0.15], ["text", "W_p", None, 0.1], ["visual", "W_up", [2, 1], 0]]
HEAD = {
    "plan": {"objective": "locoop_loss", "prune": "minor", "seed": 0},
    "fingerprint": {"backbone": "emoji", "weights": "12", "labels": "34", "images": "56"},
}
CANDIDATE = {
    "step": 1, "tower": "visual", "weight": "up", "block": 3, "ratio": 0.1, "locoop_loss": 0.5,
    "loss_id": 0.4, "loss_ood": 0.1, "acc": 50.0, "ood_patch_percent": 10.0, "objective": 0.5,
    "improved": True, "seconds": 0.1, "fpr": 50.0, "auroc": 60.0, "aupr": 70.0,
}  # fmt: skip
NEGATIVES = {
    "method": "csp", "labels": ["fox", "bee"], "backbone": "emoji", "fingerprint": "12",
    "recipe": "original", "candidates": 9, "too_like": 1,
    "settings": {"share": 0.5, "count": None, "quantile": 0.9, "too_like": None,
                 "exclude": ["noun.food"], "seed": 3, "prompt": "a {}"},
    "negatives": [{"word": "lamp", "kind": "noun", "distance": 0.25},
                  {"word": "open space", "kind": "adj", "distance": None}, {"word": "truck"}],
}  # fmt: skip
NAMES = ["red fox", "bee", "großer Hund", "café"]


def packed(page):
    return json.dumps(page).encode()


def lines(*pages):
    return b"".join(packed(page) + b"\n" for page in pages)


@pytest.fixture(scope="module")
def detector(golden):
    backbone = load_backbone(f"local-dir:{golden / 'clip'}")
    return Detector(backbone, LabelSet(("zebra", "abacus", "otter")))


@pytest.fixture
def reader(tmp_path, golden, detector):
    """By kind, what reads a file's bytes, and files that it takes."""
    images = ImageSet.from_folder(golden / "clip" / "images" / "zebra")
    paths = list(images.paths())
    book, journal = tmp_path / "book.jsonl", tmp_path / "s.csv.jsonl"

    def stored(name, read):
        def of(data):
            (tmp_path / name).write_bytes(data)
            return read(tmp_path / name)

        return of

    def trace(path):
        list(replay(path.read_bytes().decode("utf-8", "replace")))
        Trace(path, HEAD, resume=True, total=2).close()

    def bench():
        return Benchmark({"original": detector}, images, [ImageSet("ood", images.root, ("0.png",))])

    def scorebook(path):
        Scorebook(path, bench(), resume=True).close()

    def score_table(path):
        ScoreTable(detector, ["mcm"], Names(paths), path, resume=True).close()

    made = bench()
    with Scorebook(book, made) as scores:
        for step in made.steps():
            scores.write(step)
    ScoreTable(detector, ["mcm"], Names(paths), journal).close()
    entry = {"image": str(paths[0]), "scores": [0.5]}
    array = io.BytesIO()
    np.save(array, np.linspace(0, 1, 9))
    single = array.getvalue().replace(b"<f8", b"<f4")
    return {
        "recipe": (stored("r.json", Recipe.load), [
            packed(RECIPE), packed(AUTHORS), (RECIPES / "emoji-searched.json").read_bytes()]),
        "labels": (stored("l.txt", LabelSet.load), [
            "\n".join(NAMES).encode(), b"id,name\n0,fox\n1,bee\n", b"n02119789 fox\nn02206856 bee",
            packed(NAMES), packed({"0": ["n02119789", "fox"], "1": ["n02206856", "bee"]})]),
        "JSON labels": (stored("l.json", LabelSet.load), [
            packed(NAMES), packed({"0": ["n02119789", "fox"], "1": ["n02206856", "bee"]}),
            packed({"0": "fox", "1": "bee"}), packed({"fox": 0, "bee": 1})]),
        "negatives": (stored("n.json", Negatives.load), [
            packed(NEGATIVES), "\n".join(NAMES).encode(), packed(NAMES)]),
        "trace": (stored("t.jsonl", trace), [
            lines(HEAD, CANDIDATE, {**CANDIDATE, "block": [2, 1]}), lines(HEAD)]),
        "scorebook": (stored("b.jsonl", scorebook), [book.read_bytes()]),
        "journal": (stored("j.jsonl", score_table), [
            journal.read_bytes(), journal.read_bytes() + packed(entry) + b"\n",
            journal.read_bytes() + packed({"image": str(paths[0]), "left_out": "why"}) + b"\n"]),
        "scores": (stored("s.txt", read_scores), [
            array.getvalue(), single, b"0.5\n1e-3\r\n\n-7\n", b"\xef\xbb\xbf0.5\n"]),
        "table of scores": (stored("s.csv", lambda path: read_scores(path, "mcm")), [
            b"image,mcm,energy\n\"a,b\",0.5,1\nc,0.25,2\n", b"image;mcm\na;0.5\n"]),
    }  # fmt: skip


KINDS = (
    *("recipe", "labels", "JSON labels", "negatives", "trace", "scorebook", "journal"),
    *("scores", "table of scores"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_read_or_refused(kind, reader, fuzz_seconds, capsys):
    read, seeds = reader[kind]
    assert all(is_taken(read, data) for data in seeds)
    taken, refused = hunt(read, [*seeds, *ODD], fuzz_seconds)
    assert taken and refused


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([2**64, -1, 10**400, "\ud800", "x" * 50_000, "visual.1.up", [], {}, [[]]]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


def changed(page, rng, value):
    """The page with another value somewhere, a part less, or a part more."""
    if not isinstance(page, (dict, list)) or not page or rng.random() < 0.1:
        return value
    at = rng.choice(list(page) if isinstance(page, dict) else range(len(page)))
    page = page.copy()
    match rng.randrange(6):
        case 0:
            del page[at]
        case 1 if isinstance(page, dict):
            page[value if isinstance(value, str) else "more"] = value
        case 1:
            page.insert(at, value)
        case _:
            page[at] = changed(page[at], rng, value)
    return page


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "scores" not in kind])
def test_a_file_with_an_odd_value_is_read_or_refused(kind, reader, fuzz_seconds, capsys):
    """Whole as JSON, so that the fault lies in what it says."""
    read, seeds = reader[kind]
    pages = [page for page in map(parsed, seeds) if page]

    @settings(
        max_examples=math.ceil(40 * fuzz_seconds),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(pages), st.lists(VALUES, min_size=1, max_size=3), st.integers())
    def check(page, values, seed):
        rng = random.Random(seed)
        page = page.copy()
        for value in values:
            at = rng.randrange(len(page))
            page[at] = changed(page[at], rng, value)
        is_taken(read, lines(*page))

    check()


def parsed(data):
    """The lines of a file, each as JSON; none of what is not JSON."""
    try:
        return [json.loads(data)]
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in data.splitlines()]
    except ValueError:
        return []


def test_a_mutated_link_opens_the_page(golden, fuzz_seconds):
    library = Library([f"local-dir:{golden / 'clip'}"])
    seeds = [
        urlencode(query).encode()
        for query in (
            {"backbone": "local-dir:clip", "score": "gl_mcm", "recipe": "none", "weight": 2},
            {"ratios": "visual.1.up:0.25,text.proj:0.1", "prune": "random", "seed": 3},
            {"names": "\n".join(NAMES), "prompt": "a {}", "temperature": "0.5", "labels": "x"},
        )
    ]

    def read(data):
        query = dict(parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True))
        try:
            links.opening(library, query)
        except ValueError as error:
            raise AssertionError("a link is never refused") from error

    taken, refused = hunt(read, [*seeds, *ODD], fuzz_seconds)
    assert taken and not refused
