"""`benchmark` and `metrics` on the command line: files, a killed run, and what is refused."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setar_core.__main__ import main
from setar_core.benchmark.about import About
from setar_core.benchmark.results import Row, leaders
from setar_core.benchmark.tables import as_csv, as_latex, as_markdown
from setar_core.commands.metrics import read_scores
from setar_core.metrics.separation import separation, threshold_at_recall

ROOT = Path(__file__).resolve().parents[3]
METRICS = ("fpr95", "auroc", "aupr")


@pytest.fixture
def folders(golden, tmp_path):
    """The tiny CLIP's own pictures, and two OOD sets of six."""
    shutil.copytree(golden / "clip" / "images", tmp_path / "id")
    rng = np.random.default_rng(0)
    for name, high in (("noise", 256), ("dark", 60)):
        for i in range(6):
            path = tmp_path / name / f"{i}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, high, (40, 40, 3), dtype=np.uint8)).save(path)
    (tmp_path / "heavy.json").write_text('{"ratios": {"visual.3.up": 0.4, "text.2.up": 0.3}}')
    return tmp_path


@pytest.fixture
def given(golden, folders):
    """The arguments of a small benchmark."""
    clip = golden / "clip"
    return [
        "benchmark", "--id", str(folders / "id"),
        "--ood", str(folders / "noise"), str(folders / "dark"),
        "--backbone", f"local-dir:{clip}", "--labels", str(clip / "labels.json"),
        "--recipe", "original", str(folders / "heavy.json"), "--scores", "mcm,gl_mcm,energy",
        "--bootstrap", "50", "--out", str(folders / "r.json"),
    ]  # fmt: skip


def page(folders):
    return json.loads((folders / "r.json").read_text())


def book(folders):
    return [json.loads(line) for line in (folders / "r.scores.jsonl").read_text().splitlines()]


def test_results_csv_tables_and_scores_are_written(given, folders, capsys):
    files = {name: folders / name for name in ("r.csv", "t.md", "t.tex")}
    extra = ["--csv", str(files["r.csv"]), "--table", str(files["t.md"])]
    assert main([*given, *extra, "--threshold-from", str(folders / "id")]) == 0
    said = capsys.readouterr()
    found = page(folders)
    assert len(found["rows"]) == 2 * 3 * 3
    assert list(found["rows"][0]) == [
        *("recipe", "score", "ood"), *METRICS, "ci", "n_id", "n_ood",
    ]  # fmt: skip
    assert {row["recipe"] for row in found["rows"]} == {"original", "heavy"}
    assert {row["ood"] for row in found["rows"]} == {"noise", "dark", "mean"}
    for row in found["rows"]:
        for metric in METRICS:
            low, high = row["ci"][metric]
            assert 0 <= low <= row[metric] <= high <= 100
    assert found["accuracy"]["original"] == 100
    assert found["settings"]["resamples"] == 50
    line = found["thresholds"][0]
    assert (line["recipe"], line["score"], line["n"]) == ("original", "mcm", 40)
    assert line["id_accepted"] == line["reached"] == 95
    assert set(line["ood_accepted"]) == {"noise", "dark"}

    scores = [one for one in book(folders) if one.get("set") == "id"]
    assert len(scores) == 40
    mine = [one["scores"]["heavy"]["energy"] for one in scores]
    theirs = [o["scores"]["heavy"]["energy"] for o in book(folders) if o.get("set") == "dark"]
    row = next(r for r in found["rows"]
               if (r["recipe"], r["score"], r["ood"]) == ("heavy", "energy", "dark"))  # fmt: skip
    wanted = [100 * value for value in separation(mine, theirs)]
    assert [row[metric] for metric in METRICS] == pytest.approx(wanted)

    with files["r.csv"].open(newline="") as file:
        table = list(csv.DictReader(file))
    assert float(table[0]["auroc"]) == pytest.approx(found["rows"][0]["auroc"], abs=1e-3)
    assert files["t.md"].read_text() in said.out
    assert "Known images given their own label: original 100.00 %" in said.out
    assert "MCM with heavy" in found["conclusion"] and "mean of 2 sets" in found["conclusion"]
    assert main([*given, "--table", str(files["t.tex"])]) == 0
    assert files["t.tex"].read_text().startswith(r"\begin{tabular}")


def test_exactly_the_recipes_named_are_measured(given, folders):
    at = given.index("--recipe")
    rest, heavy = [*given[:at], *given[at + 3 :]], given[at + 2]
    for named, found in (
        ([], ["original"]),
        (["--recipe", heavy], ["heavy"]),
        (["--recipe", heavy, "original"], ["heavy", "original"]),
        (["--recipe", "original", "--recipe", heavy], ["original", "heavy"]),
    ):
        assert main([*rest, *named, "--bootstrap", "0"]) == 0
        recipes = [row["recipe"] for row in page(folders)["rows"]]
        assert list(dict.fromkeys(recipes)) == found


def test_one_score_without_bootstrap(given, folders):
    assert main([*given, "--scores", "mcm", "--bootstrap", "0", "--batch-size", "7"]) == 0
    assert {row["ci"] for row in page(folders)["rows"]} == {None}


def test_a_broken_image_is_left_out_told_and_gives_exit_code_1(given, folders, capsys):
    (folders / "noise" / "2.png").write_text("no image")
    assert main(given) == 1
    assert "left out: noise: 2.png: is not an image" in capsys.readouterr().err
    found = page(folders)
    assert found["left_out"][0]["image"] == "2.png"
    assert {row["n_ood"] for row in found["rows"] if row["ood"] == "noise"} == {5}
    assert main([*given, "--resume"]) == 1  # and it is told again
    assert "2.png" in capsys.readouterr().err
    assert page(folders) == found


def test_no_accuracy_where_folders_are_no_labels(given, folders, capsys):
    (folders / "id" / "zebra").rename(folders / "id" / "striped horse")
    assert main(given) == 0
    assert page(folders)["accuracy"] is None
    assert "no label's name: striped horse" in capsys.readouterr().err


def test_a_run_that_was_cut_off_at_any_byte_goes_on_to_the_same_results(given, folders):
    assert main(given) == 0
    wanted, lines = page(folders), (folders / "r.scores.jsonl").read_bytes()
    rng = np.random.default_rng(0)
    ends = [0, 10, lines.index(b"\n") + 1, len(lines) - 1, *rng.integers(0, len(lines), 3)]
    for end in ends:
        (folders / "r.scores.jsonl").write_bytes(lines[: int(end)])
        (folders / "r.json").unlink(missing_ok=True)
        assert main([*given, "--resume"]) == 0
        for row, other in zip(page(folders)["rows"], wanted["rows"], strict=True):
            assert [row[m] for m in METRICS] == pytest.approx([other[m] for m in METRICS])
        assert len(book(folders)) == 1 + 52
    assert main([*given, "--resume"]) == 0  # all is there: no image is read again
    assert page(folders) == wanted or page(folders)["rows"]


def test_a_killed_run_goes_on_and_reads_no_image_twice(given, folders, capsys):
    """kill -9 in the middle, in a process of its own."""
    for i in range(300):
        shutil.copy(folders / "noise" / f"{i % 6}.png", folders / "noise" / f"more-{i}.png")
    command = [sys.executable, "-m", "setar_core", *given, "--batch-size", "4"]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    scores = folders / "r.scores.jsonl"
    deadline = time.monotonic() + 240
    while not (scores.exists() and scores.read_bytes().count(b"\n") > 60):
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    known = scores.read_bytes()
    kept = known.count(b"\n") - 1
    assert 60 <= kept < 352
    assert not (folders / "r.json").exists()
    assert main([*given, "--resume"]) == 0
    assert f"{kept} images are in" in capsys.readouterr().err
    assert scores.read_bytes().startswith(known[: known.rindex(b"\n") + 1])
    assert len(book(folders)) == 1 + 352
    assert page(folders)["rows"][0]["n_ood"] == 306


def test_without_resume_the_scores_of_a_killed_run_are_set_aside(given, folders, capsys):
    (folders / "r.scores.jsonl").write_text("a killed run's\n")
    assert main(given) == 0
    assert "--resume would go on" in capsys.readouterr().err
    assert (folders / "r.scores.jsonl.old").read_text() == "a killed run's\n"
    assert main(given) == 0  # finished: nothing to set aside
    assert "set aside" not in capsys.readouterr().err
    assert (folders / "r.scores.jsonl.old").read_text() == "a killed run's\n"


def changed_settings(folders):
    smaller = folders / "l.json"
    smaller.write_text(json.dumps(["zebra", "abacus"]))
    other = folders / "other" / "heavy.json"
    other.parent.mkdir()
    other.write_text('{"ratios": {"visual.3.up": 0.1}}')
    shutil.copytree(folders / "dark", folders / "more")
    return {
        "scores": ["--scores", "mcm"],
        "temperature": ["--temperature", "2"],
        "labels": ["--labels", str(smaller)],
        "sets": ["--ood", str(folders / "more")],
        "recipes": ["--recipe", str(other)],
    }


def test_a_run_under_other_conditions_is_not_resumed(given, folders, capsys):
    assert main(given) == 0
    known = (folders / "r.scores.jsonl").read_bytes()
    for what, extra in changed_settings(folders).items():
        named = {"sets": "other files in more"}.get(what, f"made with {what}")
        assert main([*given, *extra, "--resume"]) == 2
        error = capsys.readouterr().err
        assert named in error.splitlines()[-1]
        assert (folders / "r.scores.jsonl").read_bytes() == known
    book = folders / "r.scores.jsonl"
    book.write_bytes(known.replace(b'"dark": {"role"', b'"da\\u007frk": {"role"', 1))
    assert main([*given, "--resume"]) == 2
    assert r"in 'da\x7frk', dark" in capsys.readouterr().err  # characters that nobody can see
    book.write_bytes(known)
    Image.new("RGB", (50, 50), "red").save(folders / "dark" / "0.png")
    assert main([*given, "--resume"]) == 2
    assert "other files in dark" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    ["no json", "[1, 2]", '{"set": "id"}', '{"set": "id", "image": "x", "scores": {}}', "x" * 10**6]
)  # fmt: skip
def test_a_file_that_is_no_scorebook_is_refused(line, given, folders, capsys):
    assert main([*given, "--scores", "mcm"]) == 0
    scores = folders / "r.scores.jsonl"
    first = scores.read_text().splitlines()[0]
    for text, number in ((f"{line}\n", 1), (f"{first}\n{line}\n", 2)):
        if (number, line[:2]) == (1, '{"'):
            continue  # told by what differs
        scores.write_text(text)
        assert main([*given, "--scores", "mcm", "--resume"]) == 2
        error = capsys.readouterr().err
        assert f"line {number}" in error and error.count("\n") == 1
        assert scores.read_text() == text  # and left as it is


def test_a_file_without_a_whole_line_is_gone_on_with_only_if_it_is_a_scorebook(
    given, folders, capsys
):
    scores = folders / "r.scores.jsonl"
    scores.write_text("what I must not forget")
    assert main([*given, "--scores", "mcm", "--resume"]) == 2
    assert "is no scorebook; give another file" in capsys.readouterr().err
    assert scores.read_text() == "what I must not forget"
    scores.write_text('{"backbone": "loc')
    assert main([*given, "--scores", "mcm", "--resume"]) == 0
    assert len(scores.read_text().splitlines()) > 1


REFUSED = {
    "no ID folder": (["--id", "nowhere"], "datasets.md"),
    "no OOD folder": (["--ood", "nowhere"], "datasets.md"),
    "unknown score": (["--scores", "best"], "use mcm"),
    "no batch": (["--batch-size", "0"], "at least 1"),
    "no temperature": (["--temperature", "0"], "temperature is 0"),
    "another's recipe": (["--recipe", "vit-b-16-imagenet1k"], "is for 'ViT-B-16/openai'"),
    "no folder for the result": (["--out", "no/such/place.json"], "folder does not exist"),
    "another ending": (["--table", "table.doc"], ".md or .tex"),
    "a folder twice": (["--ood", "tests/golden/clip/images/../images"], ""),
    "fewer than none": (["--bootstrap", "-1"], "0 or more"),
    "no device": (["--device", "abacus"], "unknown device"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_takes_one_line_and_exit_code_2(case, given, folders, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    extra, reason = REFUSED[case]
    if case == "a folder twice":
        extra, reason = ["--ood", str(folders / "id" / "zebra")], "share images"
    assert main([*given, *extra]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert reason in error


ROWS = [
    Row("original", "mcm", "a|b_1", (0.5, 0.9, 0.8), (0.4, 0.8, 0.7), (0.6, 1, 0.9),
        ("level", "best", ""), 10, 5),
    Row("=mine", "gl_mcm", "a|b_1", (0.45, 0.85, 0.9), None, None, ("best", "", "best"), 10, 5),
]  # fmt: skip
ROWS = [
    Row(r.recipe, r.score, r.ood, type(separation([1], [0]))(*r.metrics), r.low, r.high,
        type(separation([1], [0]))(*r.standing), r.n_id, r.n_ood) for r in ROWS
]  # fmt: skip


ABOUT = About(
    "emoji", "w", 2, "l", "a {}", {}, {}, {}, ("mcm", "gl_mcm"), {"id": 10}, {"a|b_1": 5}, {}, 0, ""
)


def test_markdown_marks_the_best_and_what_is_level_with_it():
    lines = as_markdown(ROWS, ABOUT).splitlines()
    assert lines[0] == "| Recipe | Score | a/b_1 FPR95 ↓ | a/b_1 AUROC ↑ | a/b_1 AUPR ↑ |"
    assert lines[2] == "| original | MCM | ≈ 50.00 | **90.00** | 80.00 |"
    assert lines[3] == "| =mine | GL-MCM | **45.00** | 85.00 | **90.00** |"


def test_latex_escapes_names_and_csv_defuses_them():
    text = as_latex(ROWS, ABOUT)
    assert r"\multicolumn{3}{c}{a|b\_1}" in text
    assert r"=mine & GL-MCM & \textbf{45.00} & 85.00 & \textbf{90.00} \\" in text
    assert r"$\approx$ 50.00" in text
    assert text.count(r"\\") == 4
    rows = list(csv.DictReader(as_csv(ROWS, ABOUT).splitlines()))
    assert rows[1]["recipe"] == "'=mine"
    assert (rows[0]["fpr95"], rows[0]["fpr95_low"], rows[1]["fpr95_low"]) == ("50", "40", "")


def test_leaders_name_the_best_and_those_level_with_it():
    found = leaders(ROWS)[0]
    assert (found["ood"], found["metric"]) == ("a|b_1", "fpr95")
    assert found["best"] == [["=mine", "gl_mcm"]]
    assert found["level"] == [["original", "mcm"]]


@pytest.fixture
def files(tmp_path):
    """Scores as text, as .npy of several kinds, and what they are."""
    rng = np.random.default_rng(0)
    ids, oods = rng.normal(1, 1, 500), rng.normal(0, 1, 400)
    (tmp_path / "id.txt").write_text("\n".join(map(repr, ids.tolist())) + "\n\n")
    np.save(tmp_path / "ood.npy", oods)
    np.save(tmp_path / "single.npy", oods.astype(np.float32))
    (tmp_path / "bom.txt").write_text("\ufeff0.5\r\n 1e-3 \r\n-9e9\r\n", encoding="utf-8")
    return tmp_path, ids, oods


def test_metrics_of_scores_made_elsewhere(files, capsys):
    folder, ids, oods = files
    given = ["metrics", "--id-scores", str(folder / "id.txt"), "--ood-scores",
             str(folder / "ood.npy"), str(folder / "bom.txt")]  # fmt: skip
    assert main([*given, "--json"]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    found = json.loads(said)
    assert [list(row) for row in found] == [["ood", *METRICS, "threshold"]] * 2
    assert [row["ood"] for row in found] == ["ood", "bom"]
    wanted = separation(ids, oods)
    assert [found[0][m] for m in METRICS] == pytest.approx([100 * v for v in wanted])
    threshold = found[0]["threshold"]
    assert 100 * (oods >= threshold).mean() == found[0]["fpr95"]
    assert (ids >= threshold).mean() == (ids >= threshold_at_recall(ids)).mean()
    assert main(given) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["OOD", "FPR95", "AUROC", "AUPR", "threshold"]
    assert f"{100 * wanted.auroc:.2f}" in lines[1]


def test_scores_come_from_a_pipe_and_sets_one_by_one(files, capsys):
    folder, *_ = files
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=((folder / "id.txt").read_bytes(),))
    writer.start()
    oods = [str(folder / name) for name in ("ood.npy", "single.npy")]
    given = ["--ood-scores", oods[0], "--ood-scores", oods[1], "--json"]
    assert main(["metrics", "--id-scores", str(pipe), *given]) == 0
    writer.join()
    piped = capsys.readouterr().out
    assert main(["metrics", "--id-scores", str(folder / "id.txt"), *given]) == 0
    assert piped == capsys.readouterr().out
    assert [row["ood"] for row in json.loads(piped)] == ["ood", "single"]


def test_the_authors_lists_are_pruned_as_told(given, folders):
    (folders / "list.json").write_text('[["visual", "W_up", 3, 0.3]]')
    extra = ["--recipe", str(folders / "list.json"), "--prune", "principal"]
    assert main([*given, *extra]) == 0


def test_files_of_one_name_are_named_as_given(files, capsys):
    folder, *_ = files
    for name in ("a", "b"):
        (folder / name).mkdir()
        shutil.copy(folder / "ood.npy", folder / name / "ood.npy")
    oods = [str(folder / name / "ood.npy") for name in ("a", "b")]
    main(["metrics", "--id-scores", str(folder / "id.txt"), "--ood-scores", *oods, "--json"])
    assert [row["ood"] for row in json.loads(capsys.readouterr().out)] == oods


def test_scores_of_every_kind_of_file_are_read(files):
    folder, ids, oods = files
    np.testing.assert_array_equal(read_scores(folder / "id.txt"), ids)
    np.testing.assert_allclose(read_scores(folder / "single.npy"), oods, rtol=1e-6)
    np.testing.assert_array_equal(read_scores(folder / "bom.txt"), [0.5, 1e-3, -9e9])


def bad_files(folder):
    """What is no file of scores, by the reason that is given."""

    def save(name, *arrays, **options):
        with open(folder / name, "wb") as file:
            (np.save if name.endswith("npy") else np.savez)(file, *arrays, **options)

    save("objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    save("square.npy", np.zeros((2, 2)))
    save("complex.npy", np.zeros(3, dtype=complex))
    save("empty.npy", np.zeros(0))
    save("nan.npy", np.array([0.1, np.nan]))
    save("many.npz", np.zeros(3))
    whole = (folder / "nan.npy").read_bytes()
    (folder / "lie.npy").write_bytes(whole.replace(b"(2,)", b"(9999999999999,)")[:128] + b"\0" * 64)
    (folder / "cut.npy").write_bytes(whole[:20])
    (folder / "words.txt").write_text("0.5\n\nhigh\n")
    (folder / "inf.txt").write_text("0.5\n\n1e999\n")
    (folder / "none.txt").write_text("\n")
    (folder / "grouped.txt").write_text("0.5\n1_000\n")
    (folder / "arabic.txt").write_text("0.5\n\u0663\n", encoding="utf-8")
    (folder / "binary.txt").write_bytes(b"\xff\xfe\x00")
    return {
        "objects.npy": "no .npy that is read here",
        "square.npy": "shape (2, 2)",
        "complex.npy": "complex128",
        "empty.npy": "",
        "nan.npy": "element 2: nan is no finite number, like 1 of its 2 scores",
        "inf.txt": "line 3: inf is no finite number, like 1 of its 2 scores",
        "many.npz": "neither text nor an .npy file",
        "lie.npy": "no .npy that is read here",
        "cut.npy": "no .npy that is read here",
        "words.txt": "line 3: 'high' is no number",
        "grouped.txt": "line 2: '1_000' is no number",
        "arabic.txt": "is no number",
        "none.txt": "empty (0 images)",
        "binary.txt": "neither text nor an .npy file",
        "nowhere.txt": "cannot be read",
        ".": "cannot be read",
    }


def test_files_that_hold_no_scores_take_one_line_and_exit_code_2(files, capsys):
    folder, *_ = files
    for name, reason in bad_files(folder).items():
        given = ["metrics", "--id-scores", str(folder / "id.txt"), "--json"]
        assert main([*given, "--ood-scores", str(folder / name)]) == 2, name
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert reason in said.err, (name, said.err)


def test_a_million_scores_in_files_take_seconds(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "ood.npy", rng.normal(0, 1, 10**6))
    np.savetxt(tmp_path / "id.txt", rng.normal(1, 1, 10**6))
    start = time.process_time()  # a busy machine is no slower by this clock
    assert main(["metrics", "--id-scores", str(tmp_path / "id.txt"),
                 "--ood-scores", str(tmp_path / "ood.npy")]) == 0  # fmt: skip
    assert time.process_time() - start < 10
