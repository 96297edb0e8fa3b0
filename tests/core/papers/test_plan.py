"""The papers' tables: their rows, the commands that make them, and what is printed of them."""

import json
import re
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest

from setar_core.papers import worlds
from setar_core.papers.pages import as_html, as_latex, as_markdown, beside, number
from setar_core.papers.plan import NETWORKS, chosen, tables
from setar_core.papers.report import Report, part_of
from setar_core.papers.steps import Setting
from setar_core.paths import PAPERS
from setar_core.published import BACKBONES, MEAN
from setar_core.search.plan import SearchPlan

FIRST = chosen(["1"])[0]


@pytest.fixture
def world(tmp_path):
    """The papers' sets as empty folders."""
    found = worlds.papers(tmp_path)
    sets = [p for known in found.known.values() for p in (known.pictures, known.learnt)]
    for pictures in (*sets, *found.foreign.values()):
        pictures.path.mkdir(parents=True)
    return found


def flags(step):
    """The values of a command's flags."""
    found, name = {}, ""
    for part in step.arguments[1:]:
        if part.startswith("--"):
            name = part
            found[name] = []
        else:
            found[name].append(part)
    return found


def test_networks_are_called_as_what_was_published():
    assert set(NETWORKS.values()) == {ours for ours, _ in BACKBONES.values()}


@pytest.mark.parametrize("name", ["1", "2", "3"])
def test_rows_that_were_published_have_their_run(name):
    rows = [(table, row) for table in chosen([name]) for row in table.rows]
    assert rows
    for table, row in rows:
        if row.title in ("Original", "SeTAR") and "neglabel" not in table.scores:
            assert set(row.run) == set(table.scores)
            assert all(run.backbone == NETWORKS[row.network] for run in row.run.values())
            assert all(run.id_set == row.known for run in row.run.values())


def test_ablations_are_all_that_the_paper_does_not_number():
    names = {table.name for table in chosen(["ablations"])}
    assert {"towers", "weights", "projection", "order", "dropped", "lambda", "top-k"} <= names
    assert not names & {"1", "2", "3", "4"}
    assert chosen([]) == tables()
    with pytest.raises(ValueError, match="table '5' is unknown; use 1, 2, 3, 4, towers"):
        chosen(["5"])


def test_every_search_can_be_asked_for(world, tmp_path):
    from argparse import ArgumentParser

    from setar_core.commands import search

    parser = ArgumentParser()
    search.add(parser.add_subparsers())
    searched = 0
    for table in tables():
        for step in Setting(world, tmp_path, anew=True).steps(table)[0]:
            if step.arguments[0] == "search":
                plan = search._plan(parser.parse_args(list(step.arguments)))
                assert isinstance(plan, SearchPlan) and plan.top_k
                searched += 1
    assert searched > 60


def test_published_recipes_are_taken_unless_asked_otherwise(world, tmp_path):
    taken, _ = Setting(world, tmp_path).steps(FIRST)
    assert {step.arguments[0] for step in taken} == {"benchmark"}
    assert [flags(s).get("--recipe") for s in taken] == [
        None, ["vit-b-16-imagenet1k"], None, ["vit-b-16-voc"],
    ]  # fmt: skip
    assert len(flags(taken[0])["--ood"]) == 4 and len(flags(taken[2])["--ood"]) == 6
    anew, _ = Setting(world, tmp_path, anew=True).steps(FIRST)
    found = [flags(step) for step in anew if step.arguments[0] == "search"]
    assert [(f["--lambda"], f["--top-k"]) for f in found] == [
        (["0.1"], ["300"]), (["0.05"], ["4"]),
    ]  # fmt: skip
    searched = anew[[s.arguments[0] for s in anew].index("search")].out
    assert searched in anew[2].needs and flags(anew[2])["--recipe"] == [str(searched)]


def test_what_is_missing_is_told_and_the_others_go_on(world, tmp_path):
    assert any("SUN has 0 images" in doubt for doubt in world.doubts())
    (tmp_path / "SUN").rmdir()
    (tmp_path / "ID_VOC_single").rmdir()
    told = "\n".join(world.doubts())
    assert f"SUN is missing: no folder {tmp_path / 'SUN'}; it should hold 10,000 images" in told
    steps, measured = Setting(world, tmp_path).steps(FIRST)
    assert len(flags(steps[0])["--ood"]) == 3
    assert [bool(one.lacks) for one in measured] == [False, False, True, True]
    assert "Pascal VOC is not there" in measured[2].lacks
    part = part_of(FIRST, world, measured, {}, {})
    assert [line.lacks for line in part.lines[:2]] == ["not measured yet"] * 2


def test_a_set_that_cannot_be_classified_is_told(world, tmp_path):
    (table,) = chosen(["4"])
    setting = Setting(world, tmp_path / "out")
    told = setting.unsorted(table)
    assert [doubt.split(" is not")[0] for doubt in told] == ["SUN", "Places"]
    assert "its folders bear no names of sun397; datasets.md tells how" in told[0]
    (tmp_path / "SUN" / "airport_terminal").mkdir()
    (tmp_path / "Places").rmdir()  # missing, which is told already
    assert setting.unsorted(table) == [] == setting.unsorted(FIRST)


def test_rows_that_learn_nothing_need_no_pictures_to_learn_from(world, tmp_path):
    (tmp_path / "ImageNet" / "calibration").rmdir()
    _, taken = Setting(world, tmp_path).steps(FIRST)
    assert not any(one.lacks for one in taken)
    _, anew = Setting(world, tmp_path, anew=True).steps(FIRST)
    assert [bool(one.lacks) for one in anew] == [False, True, False, False]
    assert "ImageNet-1k to learn from is not there" in anew[1].lacks


def test_a_set_that_came_later_is_measured(world, tmp_path):
    (tmp_path / "SUN").rmdir()
    before, _ = Setting(world, tmp_path).steps(FIRST)
    before[0].out.parent.mkdir()
    before[0].out.write_text("{}")
    (tmp_path / "SUN").mkdir()
    after, measured = Setting(world, tmp_path).steps(FIRST)
    assert not after[0].done and len(flags(after[0])["--ood"]) == 4
    assert not part_of(FIRST, world, measured, {}, {}).lines[0].cells


def test_what_was_measured_is_shown_beside_what_failed(world, tmp_path):
    table = chosen(["4"])[0]
    _, measured = Setting(world, tmp_path).steps(table)
    files = measured[0].files
    assert set(files) == {"imagenet1k", "textures"}
    files["imagenet1k"][0].parent.mkdir()
    files["imagenet1k"][0].write_text(json.dumps({"top1": 64.0, "ci": [63, 65]}))
    line = part_of(table, world, measured, {files["textures"][0]: "no such labels"}, {}).lines[0]
    (cell,) = line.cells
    assert cell.value == 64 and cell.within and not line.lacks


def test_scenes_are_told_apart_where_their_folders_bear_the_names(world, tmp_path):
    table = chosen(["4"])[0]
    (tmp_path / "SUN" / "images").mkdir(parents=True)  # as it unpacks
    (tmp_path / "Places" / "swimming_pool-indoor").mkdir(parents=True)
    steps, measured = Setting(world, tmp_path).steps(table)
    assert set(measured[0].files) == {"imagenet1k", "places", "textures"}
    (step,) = [step for step in steps if step.out == measured[0].files["places"][0]]
    assert flags(step)["--labels"] == ["places365"]


def measured_as(world, tmp_path, change):
    """The first table where the first row's numbers are the authors', and `change` more."""
    steps, measured = Setting(world, tmp_path).steps(FIRST)
    row, (file,) = measured[0].row, measured[0].files[""]
    names = [Path(path).name for path in flags(steps[0])["--ood"]]
    rows = []
    for score, run in row.run.items():
        columns = dict(zip([*names, "mean"], run.metrics[score].values(), strict=True))
        for ood, theirs in columns.items():
            ours = {n: 100 * v + change for n, v in theirs._asdict().items()}
            ends = {n: [v - 1, v + 1] for n, v in ours.items()}
            rows.append({"score": score, "ood": ood, **ours, "ci": ends})
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"rows": rows, "settings": {"ood": names}}))
    part = part_of(FIRST, world, measured, {}, {file: steps[0].line})
    return Report("papers'", True, ("SUN is <small>",), ("A note.",), (part,))


@pytest.mark.parametrize(("change", "within"), [(0, True), (0.5, True), (-3, False)])
def test_every_number_stands_beside_the_authors(world, tmp_path, change, within):
    report = measured_as(world, tmp_path, change)
    cells = [cell for line in report.parts[0].lines for cell in line.cells]
    assert report.measured == len(cells) == 2 * 5 * 2
    for cell in cells:
        assert cell.difference == pytest.approx(change) and cell.within is within
    mean = next(c for c in cells if (c.column, c.metric) == (MEAN, "fpr95"))
    assert number(mean) == f"{43.09 + change:.2f}"
    told = beside(mean, True)
    for made, bold in ((as_markdown, "**{}**"), (as_latex, r"\textbf{{{}}}")):
        text = made(report)
        wanted = told if within else bold.format(told)
        if made is as_latex:
            wanted = wanted.replace("−", "$-$")
        assert f"{number(mean)} ({wanted})" in text
    assert report == Report.from_page(json.loads(json.dumps(report.page())))


def test_the_page_is_whole_and_safe(world, tmp_path):
    text = as_html(measured_as(world, tmp_path, 0))
    opened, texts = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            opened.append(tag)
            assert not {"src", "href"} & {name for name, _ in attrs}

        def handle_data(self, data):
            texts.append(data)

    Reader().feed(text)
    assert opened.count("table") == 1 and opened.count("svg") == 1
    assert opened.count("circle") == 2 * 2  # ours and theirs, of two scores
    assert opened.count("small") == 2 * 5 * 2  # a difference a number, and none of a set's name
    assert "script" not in opened and "SUN is <small>" in texts
    assert any("setar benchmark --id" in data for data in texts)


def test_numbers_of_other_pictures_are_never_called_different(world, tmp_path):
    report = measured_as(world, tmp_path, 0)
    other = Report("emoji", False, (), (), report.parts)
    text = as_markdown(other)
    assert "43.09 (43.09)" in text and "+0.00" not in text
    assert 'class="theirs"' not in as_html(other)


@pytest.mark.parametrize("page", [{}, {"tables": [{}]}, {"tables": 3}])
def test_what_is_no_report_is_refused(page):
    with pytest.raises(ValueError, match="no report"):
        Report.from_page(page)


def test_a_small_world_is_copied_once_and_whole(tmp_path):
    make = partial(worlds.small, worlds.emoji(), tmp_path)
    (tmp_path / "near.part").mkdir()  # of a run that was killed
    first = make()
    classes = list(first.known["imagenet1k"].pictures.path.iterdir())
    assert len(classes) == 40 and all(len(list(one.iterdir())) == 2 for one in classes)
    assert len(list(first.foreign["near"].path.iterdir())) == worlds.FEW
    (first.foreign["near"].path / "more.webp").touch()
    assert make() == first and (first.foreign["near"].path / "more.webp").exists()
    assert not (tmp_path / "near.part").exists()


def test_the_shipped_report_has_every_row_of_the_plan():
    page = json.loads((PAPERS / "emoji.json").read_text(encoding="utf-8"))
    report = Report.from_page(page)
    assert report.page() == page and not report.comparable and not report.doubts
    assert [(p.name, p.title) for p in report.parts] == [(t.name, t.title) for t in tables()]
    for part, table in zip(report.parts, tables(), strict=True):
        rows = [(r.title, r.network, r.known) for r in table.rows]
        assert list(dict.fromkeys((x.title, x.network, x.known) for x in part.lines)) == rows
        assert "not measured yet" not in {line.lacks for line in part.lines}


def test_the_shipped_report_says_what_the_figures_say():
    report = Report.from_page(json.loads((PAPERS / "emoji.json").read_text(encoding="utf-8")))
    figures = (PAPERS.parents[1] / "docs" / "figures.md").read_text(encoding="utf-8")
    for line in report.parts[0].lines[:2]:
        fpr, auroc = (
            next(c.value for c in line.cells if (c.column, c.metric) == (MEAN, metric))
            for metric in ("fpr95", "auroc")
        )
        score = {"mcm": "MCM", "gl_mcm": "GL-MCM"}[line.score]
        found = rf"- original, {score}: mean FPR95 {fpr:.2f} \(.*\), mean AUROC {auroc:.2f}"
        assert re.search(found, figures)
