"""`negatives`: what it writes, what it says, and what it refuses."""

import json

import pytest

from setar_core.__main__ import main
from setar_core.data.negatives import Negatives


@pytest.fixture
def model(golden):
    clip = golden / "clip"
    return ["--backbone", f"local-dir:{clip}", "--labels", str(clip / "labels.json")]


@pytest.fixture
def lists(tmp_path, golden):
    folder = tmp_path / "lists"
    folder.mkdir()
    for name, words in json.loads((golden / "csp" / "words.json").read_text()).items():
        (folder / name).write_text("\n".join(words), encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("method", ["neglabel", "csp"])
def test_a_folder_of_lists_is_mined_as_the_authors_mine_it(method, model, lists, tmp_path, golden):
    out = tmp_path / "n.json"
    more = ["--too-like", "0.999"] if method == "csp" else []
    given = ["--words", lists, "--method", method, *more, "--out", str(out)]
    assert main(["negatives", *model, *given]) == 0
    page = json.loads(out.read_text())
    assert (page["method"], page["backbone"]) == (method, model[1])
    assert list(page["negatives"][0]) == ["word", "kind", "distance"]
    assert len(page["labels"]) == 40 and len(page["fingerprint"]) == 16
    if method == "csp":
        case = json.loads((golden / "csp" / "cases.json").read_text())["cases"]["loose_0999"]
        kinds = [word["kind"] for word in page["negatives"]]
        assert kinds == ["noun"] * case["kept_nouns"] + ["adj"] * case["kept_adjectives"]


def test_what_was_chosen_and_left_out_is_told(model, lists, tmp_path, capsys):
    out = str(tmp_path / "n.json")
    assert main(["negatives", *model, "--words", lists, "--method", "csp", "--out", out]) == 0
    told = capsys.readouterr()
    assert "candidates have a cosine above 0.95 to a label and were left out" in told.err
    assert "79 of 536 candidates are negatives" in told.out
    assert "farthest from the labels: " in told.out and "nearest: " in told.out


def test_the_options_are_those_of_mining(model, lists, tmp_path):
    out = tmp_path / "n.json"
    given = ["--exclude", "noun.food,adj.all", "--count", "20", "--quantile", "0.5", "--seed", "3",
             "--prompt", "a {} in a video game.", "--too-like", "0.99"]  # fmt: skip
    assert main(["negatives", *model, "--words", lists, *given, "--out", str(out)]) == 0
    found = Negatives.load(out)
    assert len(found) == 20
    assert found.mining.page() == {
        "share": None, "count": 20, "quantile": 0.5, "too_like": 0.99,
        "exclude": ("noun.food", "adj.all"), "seed": 3, "prompt": "a {} in a video game.",
    }  # fmt: skip


def test_the_embedded_backbone_mines_its_vocabulary(tmp_path, capsys):
    out = tmp_path / "n.json"
    given = ["--backbone", "emoji", "--labels", "animals", "--recipe", "emoji-searched"]
    assert main(["negatives", *given, "--out", str(out)]) == 0
    found = Negatives.load(out)
    assert "179 of 179 candidates" in capsys.readouterr().out
    assert len(found.recipe) == 64 and found.mining.share == 1


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["--share", "2"], "share is 2.0"),
        (["--share", "nan"], "share is nan"),
        (["--count", "0"], "count is 0"),
        (["--count", "9999"], "there are 4"),
        (["--quantile", "1.1"], "quantile is 1.1"),
        (["--too-like", "inf"], "too like is inf"),
        (["--seed", "-1"], "seed is -1"),
        (["--share", "0.1"], "none of 4 candidates is left"),
        (["--exclude", "noun.animal"], "is one list"),
        (["--words", "nothing"], "use wordnet, vocabulary, a file"),
        (["--words", "vocabulary"], "vocabulary is not known"),
        (["--prompt", "no place"], "must hold {} once"),
        (["--prompt", ""], "must hold {} once"),
        (["--method", "mcm"], "invalid choice"),
        (["--share", "0.1", "--count", "3"], "not allowed with"),
        (["--out", "nowhere/n.json"], "its folder does not exist"),
    ],
)
def test_what_cannot_be_mined_is_refused_in_one_line(given, reason, model, tmp_path, capsys):
    words, out = tmp_path / "w.txt", tmp_path / "n.json"
    words.write_text("lamp\ntruck\nvelvet\nmoon\n")
    given = ["--words", str(words), "--out", str(out), *given]
    assert main(["negatives", *model, *given]) == 2
    said = capsys.readouterr().err.splitlines()
    assert reason in said[-1] and not out.exists()


def test_of_wordnet_it_is_said_that_the_published_lists_are_others(
    model, tmp_path, capsys, monkeypatch
):
    few = {"noun.artifact": ["lamp", "truck", "velvet", "moon"], "adj.all": ["odd", "even"]}
    monkeypatch.setattr("setar_core.data.negatives.words.wordnet", lambda: few)
    out = str(tmp_path / "n.json")
    assert main(["negatives", *model, "--share", "0.5", "--out", out]) == 0
    assert "published numbers are not met to the digit" in capsys.readouterr().err
