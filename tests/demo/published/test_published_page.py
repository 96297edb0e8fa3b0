"""The Published tab: its handlers as plain functions, and the tab in a real Chromium."""

import re

import pytest
from playwright.sync_api import expect

from demo.page.components.ratio_map import ratios
from demo.published.components.bins import bound
from demo.published.components.measured import measured, report, tables
from demo.published.components.search import ours, search
from demo.published.tab import NETWORKS, Choice, View, chosen, clicked, looked, settled
from demo.published.words import MEASURES, contradictions, signed
from demo.server.library import Library
from demo.server.shipped import EMBEDDED
from setar_core.published import SearchTime, SearchTimes, published_runs, search_times, table
from setar_core.recipe import Recipe, Site
from setar_core.search.trace import replay

B16, L14, SWIN = (name for _, name in NETWORKS)


def words(value):
    """All that is said in a value."""
    if isinstance(value, (list, tuple)):
        return " ".join(map(words, value))
    return re.sub(r"<[^>]+>", " ", str(value)).replace("\u00a0", " ")


def look(**changes):
    return looked(*settled(Choice(**changes)))


@pytest.fixture(scope="module")
def library():
    return Library()


# What was measured here


def test_every_measured_table_has_what_the_report_has():
    assert [title for title, _ in tables()][:2] == [
        "Table 1: Without training",
        "Table 2: With training",
    ]
    for _, at in tables():
        lines = report().parts[at].lines
        shown = measured(at)
        assert len(shown.rows) == sum(bool(line.cells) for line in lines)
        assert len(shown.lacking) == len({line.title + line.known for line in lines if line.lacks})
        drawn = [(row.begin, row.begin + row.width) for row in shown.rows]
        assert min(begin for begin, _ in drawn) == 0
        assert max(end for _, end in drawn) == pytest.approx(100, abs=0.02)
        for row, (begin, end) in zip(shown.rows, drawn, strict=True):
            assert begin - 0.02 <= row.dot <= end + 0.02
            assert all(number.ours for number in row.numbers)


def test_the_measured_numbers_stand_beside_the_authors_own():
    first = measured(0)
    assert first.heads[:2] == ["Mean FPR95\u00a0↓", "Mean AUROC\u00a0↑"]
    theirs = [[number.theirs for number in row.numbers[:3]] for row in first.rows]
    assert theirs[:2] == [["43.09", "90.74", ""], ["35.29", "90.86", ""]]


@pytest.mark.parametrize("at", [-1, 3, 99, None, "1", [0]])
def test_a_table_that_is_not_there_is_refused(at):
    with pytest.raises(ValueError, match="choose one of the list"):
        measured(at)


# Choosing


def test_the_first_view_says_it_in_one_sentence():
    said = words(look().sentence)
    assert "CLIP ViT-B/16" in said and "43.09 %" in said and "40.24 %" in said
    assert "6.6 % fewer" in said
    assert "34.08" not in said


def test_what_was_not_published_falls_back_to_what_was():
    now = settled(Choice(backbone=SWIN, id_set="pascal_voc", score="gl_mcm", method="SeTAR"))
    assert (now.id_set, now.score, now.method) == ("imagenet1k", "gl_mcm", "SeTAR+FT")
    now = settled(Choice(backbone=B16, id_set="pascal_voc", score="energy", method="LoRA"))
    assert (now.score, now.method, now.ood_set) == ("mcm", "SeTAR", "inaturalist")


@pytest.mark.parametrize(
    ("change", "said"), [({"backbone": "emoji"}, "emoji"), ({"measure": "F1"}, "F1")]
)
def test_a_network_or_measure_of_no_one_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        settled(Choice(**change))


def test_every_choice_can_be_shown(library):
    for run, measure in zip(published_runs(), list(MEASURES) * 7, strict=True):
        for score in run.metrics:
            view = chosen(library, run.backbone, run.id_set, score, measure, run.method, "")
            assert view.search.film.candidates and view.notes.items
            assert len(view.table.rows) == len(table(run.backbone, run.id_set, score))


def test_the_best_of_a_column_is_bold_and_signs_say_which_way():
    rows = look().table.rows
    column = [row.cells[1] for row in rows]
    assert [cell.value for cell in column if cell.best] == ["26.92"]
    changes = {cell.change: cell.kind for row in rows for cell in row.cells}
    assert changes["✓ −16.1 %"] == "good" and changes["✕ +3.0 %"] == "worse"
    assert "✓ −0.03 %" in changes  # a change is never written as none
    assert "✕ −0.23 %" in words(look(measure="AUROC ↑").table)


def chosen_cells(view):
    return [cell for row in view.table.rows for cell in row.cells if cell.chosen]


def test_a_cell_is_picked_with_its_method_and_set():
    shown = look()
    lines = table(B16, "imagenet1k", "mcm")
    place = [line.run.method for line in lines].index("SeTAR+FT")
    at = shown.table.rows[place].cells[3].place
    view = clicked(at, *settled(Choice()))
    assert (view.method, view.ood_set) == ("SeTAR+FT", "places")
    assert len(chosen_cells(view)) == 2 and at in {cell.place for cell in chosen_cells(view)}
    kept = clicked(2, *settled(Choice()))  # the original's row
    assert (kept.method, kept.ood_set) == ("SeTAR", "sun")
    assert clicked(0, *settled(Choice())) == clicked(999, *settled(Choice())) == View()
    assert all(row.cells[0].place is None for row in shown.table.rows)  # the mean


def test_the_picture_is_of_the_chosen_set_with_its_bin_error():
    figure = look(ood_set="textures", score="gl_mcm").picture
    titles = [note.text for note in figure.layout.annotations]
    assert "Original weights</b>: 57.4" in titles[0] and "SeTAR</b>: 54.1" in titles[1]
    assert all(re.search(r"± 0\.\d\d %", title) for title in titles)
    known = [trace for trace in figure.data if "known" in trace.name]
    assert [round(sum(trace.y), 1) for trace in known] == [1, 1]


def test_scores_at_two_temperatures_share_no_axis():
    figure = look(backbone=SWIN, method="SeTAR+FT").picture
    assert figure.layout.xaxis.range[1] > 0.9 and figure.layout.xaxis2.range[1] < 0.002
    assert "temperature 100" in words(look(backbone=SWIN).table)
    assert "temperature" not in words(look().table)


def test_printed_and_recomputed_stand_side_by_side():
    shown = look(ood_set="sun").bins
    first = {method: cells[0] for method, cells in shown.rows}
    assert (shown.ood_set, len(first)) == ("SUN", 2)
    for method, said in (("Original weights", "38.65"), ("SeTAR", "35.57")):
        printed, recomputed, error = first[method]
        assert printed == said and abs(float(recomputed) - float(said)) <= float(error) + 0.005


def test_a_bound_is_never_rounded_down():
    assert bound(0.00111) == "0.12" and bound(0.001) == "0.10" and bound(0) == "0.00"


def test_a_change_has_a_minus_and_some_digit():
    assert signed(-0.161) == "−16.1 %" and signed(0) == "+0.0 %" and signed(0.0002) == "+0.02 %"


# What contradicts itself


def test_contradictions_are_said_where_they_belong():
    said = " ".join(contradictions(L14, "imagenet1k"))
    assert "70.308 % and 70.394 %" in said and "three seeds" in said and "principal" in said
    said = " ".join(contradictions(B16, "pascal_voc"))
    assert "14 of the 20" in said and "never on VOC" in said and "three seeds" not in said
    said = " ".join(contradictions(SWIN, "imagenet1k"))
    assert "GL-MCM at temperature 100" in said and "not measured alike" in said
    assert "two ImageNet-1k accuracies" not in said


# Recipe and search


def test_the_search_section_tells_time_and_whose_recipe_is_beside(library):
    run = next(r for r in published_runs() if r.slug == "clip_base-imagenet1k-setar")
    found = search(library, run)
    told = found.times
    assert (told.theirs, told.candidates, told.each) == ("24 min 41 s", 216, "6.9 s")
    assert found.ours == ours(library, B16)
    assert not found.ours.same and found.ours.backbone == EMBEDDED
    shipped = Recipe.load(library.recipes(EMBEDDED)[found.ours.name])
    assert "paper" not in shipped.notes and found.ours.ratios == ratios(shipped.ratios)


def test_our_time_stands_beside_their_procedure_s(monkeypatch, library):
    run = next(r for r in published_runs() if r.slug == "clip_base-imagenet1k-setar")
    one = SearchTime("ViT", 128, 1000, 216, 100.0, 1250.0, 6, "python -m x y")
    found = SearchTimes("2 cores, no GPU", (one, one._replace(seconds=2500.0, sampled=None)))
    monkeypatch.setattr("demo.published.components.search.search_times", lambda: found)
    told = search(library, run).times
    assert told.machine == "2 cores, no GPU"
    assert told.commands == ["python -m x y"] * 2
    faster, slower = told.pairs
    assert (faster.faster, slower.faster) == ("12.5 times faster", "2.0 times slower")
    assert [(bar.name, bar.share, bar.length) for bar in faster.bars] == [
        ("This app", 8.0, "1 min 40 s"), ("Their procedure", 100.0, "20 min 50 s"),
    ]  # fmt: skip
    assert faster.counts.endswith("216 candidates, of which their procedure was timed on 6")
    assert slower.counts.endswith("216 candidates")
    monkeypatch.setattr("demo.published.components.search.search_times", lambda: None)
    told = search(library, run).times
    assert told.theirs == "24 min 41 s" and not told.pairs


def cells(found):
    """Every cell of a map, with its column's title before its name."""
    return {(column.title, cell.name): cell for column in found.columns for cell in column.cells}


def test_the_player_holds_every_candidate(library):
    for run in (r for r in published_runs() if r.searched):
        film, trace = search(library, run).film, run.trace()
        assert len(film.candidates) == len(film.chart.heights) == film.chart.total == len(trace)
        for candidate, trial in zip(film.candidates, trace, strict=True):
            assert candidate.place.endswith(f", ratio {trial.ratio:g}")
            assert (candidate.best is None) == trial.improved
        drawn = cells(film.ratios)
        assert {key: cell.ratio for key, cell in drawn.items()} == {
            key: cell.ratio for key, cell in cells(ratios(run.recipe.ratios)).items()
        }
        tried = sorted(i for cell in drawn.values() for i, _, tried in cell.changes if tried)
        assert tried == list(range(len(trace)))  # each candidate changes one cell
        for cell in drawn.values():  # what comes after the last try is what is kept
            left = [ratio for i, ratio, tried in cell.changes if not tried]
            assert left[-1:] in ([], [cell.ratio])


def test_the_map_has_the_top_block_first_and_stages_apart():
    sites = {Site("text", 0, "up"): 0.1, Site("visual", 3, "up"): 0.2, Site("visual", 11, "up"): 0}
    assert [(key, cell.ratio) for key, cell in cells(ratios(sites)).items()] == [
        (("Image tower", "11"), 0), (("Image tower", "3"), 0.2), (("Text tower", "0"), 0.1),
    ]  # fmt: skip
    swin = next(r for r in published_runs() if r.backbone == SWIN and r.searched)
    found = [column.title for column in ratios(swin.recipe.ratios).columns]
    assert found == ["Stage 3", "Stage 2", "Stage 1", "Stage 0"]


# In the browser


@pytest.fixture
def visit(fresh, served):
    """Opens the tab."""

    def visit(width=1280, height=900, theme="light"):
        page = fresh(width, height)
        page.goto(f"{served}?__theme={theme}")
        page.locator("#rows button.row").first.wait_for()  # the tabs have found their places
        menu = page.locator(".overflow-menu > button").first
        if menu.is_visible():  # on a phone whose letters are wide
            menu.click()
            page.locator(".overflow-dropdown button", has_text="Published").first.click()
        else:
            page.get_by_role("tab", name="Published").click()
        page.locator("#published-picture .main-svg").first.wait_for()
        expect(page.locator("#published .now")).to_contain_text("Candidate")
        return page

    return visit


@pytest.mark.browser
def test_a_visitor_reads_the_table_and_looks_behind_a_number(visit, served, drawn):
    page = visit()
    drawn(page, "published")
    expect(page.locator("#published-sentence")).to_contain_text("40.24")
    expect(page.locator("#published-table tbody tr")).to_have_count(4)
    picture = page.locator("#published-picture")
    expect(picture).to_contain_text("26.92")
    page.get_by_role("button", name="SeTAR+FT on SUN").click()
    expect(picture).to_contain_text("29.3")
    expect(page.locator("#published-table button[aria-pressed=true]")).to_have_count(2)
    page.get_by_label("AUROC ↑").check()
    expect(page.locator("#published-table")).to_contain_text("93.96")
    expect(page.get_by_role("button", name="SeTAR+FT on SUN: 93.96")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.get_by_text("How exact is this picture?").click()
    expect(page.locator("#published-bins")).to_contain_text("from the bins")
    assert page.broken == []
    assert [u for u in page.asked if not u.startswith((served, "data:", "blob:"))] == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.long), 390])
def test_bars_of_search_times_are_as_long_as_the_times(visit, width):
    page = visit(width=width, height=844)
    pairs = page.locator("#published .pairs figure")
    measured = search_times().measured
    expect(pairs).to_have_count(len(measured))
    for pair, time in zip(pairs.all(), measured, strict=True):
        mine, theirs = (
            pair.locator(f".pair.{kind} i").bounding_box()["width"] for kind in ("ours", "theirs")
        )
        assert theirs / mine == pytest.approx(time.ratio, rel=0.05)


@pytest.mark.browser
def test_another_network_brings_its_own_scores_stages_and_notes(visit):
    page = visit()
    page.get_by_label("Pascal VOC").check()
    expect(page.locator("#published-table")).to_contain_text("COCO")
    expect(page.locator("#published-search")).to_contain_text("6 min 46 s")
    page.get_by_label("SwinV2-B").check()
    expect(page.locator("#published-search caption")).to_have_count(6)  # four stages, and ours
    expect(page.locator("#published-search")).to_contain_text("30 min 45 s")
    expect(page.locator("#published-notes")).to_contain_text("GL-MCM at temperature 100")
    expect(page.locator("#published-table")).to_contain_text("not measured alike")
    expect(page.get_by_label("Pascal VOC")).to_have_count(0)
    page.get_by_label("Energy").check()
    expect(page.locator("#published-table tbody tr")).to_have_count(2)
    expect(page.locator("#published-sentence")).to_contain_text("51.61")
    assert page.broken == []


@pytest.mark.browser
def test_the_search_is_replayed_in_the_page_itself(visit):
    page = visit()
    now, slider = (
        page.locator("#published .now"),
        page.get_by_label("After candidate").locator("visible=true"),
    )
    cells = page.locator("#published .authors td")
    final = cells.all_inner_texts()
    asked = len([u for u in page.asked if "queue/join" in u])
    slider.focus()
    page.keyboard.press("Home")
    expect(now).to_contain_text("Candidate 1 of 216: image tower, block 11, ratio 0")
    assert cells.all_inner_texts() == ["0"] + ["·"] * 23
    page.keyboard.press("ArrowRight")
    expect(now).to_contain_text("Candidate 2 of 216")
    play = page.locator("#published button.play")
    play.click()
    expect(play).to_contain_text("Pause")
    expect(slider).not_to_have_value("2")
    play.click()
    expect(play).to_contain_text("Play")
    paused = slider.input_value()
    page.wait_for_timeout(700)
    assert slider.input_value() == paused and 2 < int(paused) < 216
    page.get_by_role("button", name="SeTAR+FT on SUN").click()
    expect(page.locator("#published-picture")).to_contain_text("29.3")
    assert slider.input_value() == paused  # looking elsewhere does not rewind it
    page.get_by_label("Speed").select_option("16")
    play.click()
    expect(now).to_contain_text("Candidate 216 of 216")
    expect(play).to_contain_text("Play")
    assert cells.all_inner_texts() == final
    assert len([u for u in page.asked if "queue/join" in u]) <= asked + 12  # not one a candidate
    assert page.broken == []


@pytest.mark.browser
def test_another_measured_table_is_chosen_and_taken_along(visit, tmp_path):
    page = visit()
    page.get_by_label("Table", exact=True).click()
    page.get_by_role("option", name="Ablation: what is dropped").click()
    expect(page.locator("#measured tbody tr")).to_have_count(len(measured(_dropped()).rows))
    with page.expect_download() as download:
        page.locator("#measured-report").click()
    download.value.save_as(tmp_path / "papers.html")
    text = (tmp_path / "papers.html").read_text(encoding="utf-8")
    assert "Ablation: what is dropped" in text and "setar benchmark" in text
    assert page.broken == []


def _dropped():
    return next(at for title, at in tables() if title == "Ablation: what is dropped")


@pytest.mark.browser
def test_the_trace_can_be_taken_along(visit, tmp_path):
    page = visit()
    page.get_by_label("CLIP ViT-L/14").check()
    expect(page.locator("#published .now")).to_contain_text("of 324")
    with page.expect_download() as download:
        page.locator("#published-trace").click()
    download.value.save_as(tmp_path / "trace.jsonl")
    trials = list(replay((tmp_path / "trace.jsonl").read_text()))
    run = next(r for r in published_runs() if r.slug == "clip_large-imagenet1k-setar")
    assert trials[-1].recipe.ratios == run.recipe.ratios


@pytest.mark.browser
@pytest.mark.parametrize("theme", [pytest.param("light", marks=pytest.mark.long), "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(visit, theme):
    page = visit(390, 844, theme)
    for network in ("CLIP ViT-L/14", "SwinV2-B"):
        page.get_by_label(network).check()
        expect(page.locator("#published-sentence")).to_contain_text(network)
        expect(page.locator("#published-search h2")).to_contain_text(network)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.broken == []
