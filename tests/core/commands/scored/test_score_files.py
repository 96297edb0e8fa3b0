"""`metrics` on score files as others write them: tables with named columns, and either sign."""

import csv
import json

import numpy as np
import pytest

from setar_core.__main__ import main
from setar_core.commands.metrics import read_scores

IDS = {"mcm_score": (-0.9, -0.8, -0.7), "gl_mcm_score": (-1.8, -1.7, -1.6)}
OODS = {"mcm_score": (-0.2, -0.75), "gl_mcm_score": (-0.5, -1.0)}


def table(path, columns, separator=","):
    """The authors' form: names in the first line, higher means more OOD."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


@pytest.fixture(params=[",", ";", "\t"])
def given(request, tmp_path):
    files = [table(tmp_path / f"{name}.csv", columns, request.param)
             for name, columns in (("id", IDS), ("ood", OODS))]  # fmt: skip
    return ["metrics", "--id-scores", files[0], "--ood-scores", files[1]]


@pytest.mark.parametrize(
    ("column", "fpr95", "auroc"), [("mcm_score", 50.0, 250 / 3), ("gl_mcm_score", 0.0, 100.0)]
)
def test_a_column_is_named_and_its_sign_turned(given, column, fpr95, auroc, capsys):
    assert main([*given, "--column", column, "--negate", "--json"]) == 0
    told = capsys.readouterr()
    (row,) = json.loads(told.out)
    assert (row["fpr95"], row["auroc"]) == pytest.approx((fpr95, auroc)) and not told.err


def test_a_sign_that_looks_wrong_is_told_and_not_turned(given, tmp_path, capsys):
    assert main([*given, "--column", "mcm_score"]) == 0
    told = capsys.readouterr()
    assert "16.67" in told.out and "--negate turns the sign" in told.err
    right = ["metrics", "--id-scores", str(tmp_path / "a"), "--ood-scores", str(tmp_path / "b")]
    (tmp_path / "a").write_text("0.9\n0.8\n")
    (tmp_path / "b").write_text("0.1\n0.2\n")
    assert main([*right, "--negate"]) == 0
    assert "leave --negate out" in capsys.readouterr().err


def test_no_column_is_guessed(given, capsys):
    for more, said in (
        ([], "several columns; choose with --column 'mcm_score' or 'gl_mcm_score'"),
        (["--column", "mcm"], "no column 'mcm', or several"),
    ):
        assert main([*given, *more]) == 2
        told = capsys.readouterr()
        assert said in told.err and told.err.count("\n") == 1 and not told.out


ODD = {
    "a number a line": ("0.5\n0.4\n", "names no columns"),
    "nothing": ("", "names no columns"),
    "a line that is cut": ("mcm,x\n0.5\n", "line 2: 1 cells under 2 names"),
    "a cell that is no number": ("mcm,x\n0.5,1\nhigh,1\n", "line 3: 'high' is no number"),
    "an open quote": ('mcm,x\n"0.5,1\n', "line 2: unexpected end of data"),
    "one name twice": ("mcm,mcm\n0.5,1\n", "no column 'mcm', or several"),
    "infinity": ("mcm,x\n0.5,1\n\ninf,1\n", "line 4: inf is no finite number"),
    "NaN": ("mcm,x\nnan,1\n", "line 2: nan is no finite number"),
}


@pytest.mark.parametrize(("text", "said"), ODD.values(), ids=ODD)
def test_a_table_that_is_none_is_refused_with_the_line(text, said, tmp_path):
    (tmp_path / "odd.csv").write_text(text)
    with pytest.raises(ValueError, match=r"odd\.csv") as refused:
        read_scores(tmp_path / "odd.csv", "mcm")
    assert said in str(refused.value)


def test_a_column_of_the_scores_command_is_read(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text('image,mcm\n"a, b.png",0.25\n"c.png",1e-3\n')
    np.testing.assert_array_equal(read_scores(path, "mcm"), [0.25, 1e-3])


def test_an_array_has_no_columns(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(2))
    with pytest.raises(ValueError, match="names no column"):
        read_scores(tmp_path / "a.npy", "mcm")
