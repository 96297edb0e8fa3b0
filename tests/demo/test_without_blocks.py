"""A ResNet in the bar: Detect and Benchmark judge by it, the other tabs say why they cannot."""

import json

import pytest

from demo.api import Endpoints
from demo.benchmark.handlers import BenchmarkHandlers
from demo.detect.exports import as_dict
from demo.detect.handlers import DetectHandlers
from demo.finetune import words as training_words
from demo.finetune.handlers import TrainingHandlers
from demo.finetune.request import ZIP
from demo.finetune.request import Controls as TrainingControls
from demo.page import choices
from demo.search.handlers import SearchHandlers
from demo.server.library import Library
from demo.server.request import NO_RECIPE
from demo.server.settings import ORIGINAL
from demo.spectrum.figures import LINEAR
from demo.spectrum.handlers import SpectrumHandlers
from demo.spectrum.view import NOTHING, Asked
from setar_core.labels import PROMPT
from tests.demo.benchmark import asking as benchmark
from tests.demo.search import asking as search
from tests.demo.told import is_bad, words

NAME = "timm:local-dir:resnet"
NAMES = ("zebra", "sea lion", "fox", "owl")
LABELS = "\n".join(NAMES)
REASON = "timm:local-dir:resnet has no blocks of attention and MLP"
SLOW = 240  # seconds; machines that run tests are busy


@pytest.fixture(scope="module")
def library(resnet):
    library = Library([f"timm:local-dir:{resnet}"])
    library.backbone(NAME)
    return library


@pytest.fixture(scope="module")
def pictures(golden, tmp_path_factory):
    """Ten of the tiny CLIP's pictures, as files and as a zip with a folder a label."""
    folder = tmp_path_factory.mktemp("pictures")
    found = sorted((golden / "clip" / "images").rglob("*.png"))[:20]
    for i, path in enumerate(found):
        place = folder / NAMES[i % 4] / f"{i}.png"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(path.read_bytes())
    return [str(path) for path in found], search.zipped(folder.with_suffix(".zip"), folder)


def judged(library, files, **changes):
    said = {"backbone": NAME, "names": LABELS, "prompt": PROMPT, "recipe": NO_RECIPE,
            "score": "energy", "temperature": 1.0, "local_weight": 1.0}  # fmt: skip
    handlers = DetectHandlers(library)
    return handlers, list(handlers.judge(files, None, "score", 0.95, *(said | changes).values()))


def test_the_bar_takes_its_labels_from_the_head(library):
    *_, ended = choices.backbone_chosen(library, NAME, "cat\ndog", PROMPT, NO_RECIPE, None)
    assert (ended.settled, ended.labels, ended.notice) == (NAME, LABELS, None)
    assert choices.knows(library, NAME) == "Knows photographs of its own classes"


def test_detect_judges_and_shows_what_speaks_for_the_label(library, pictures):
    handlers, pages = judged(library, pictures[0][:3])
    assert not any(is_bad(page.notice) for page in pages if isinstance(page.notice, list))
    batch = next(
        handlers.batches.find(p.batch) for p in reversed(pages) if isinstance(p.batch, str)
    )
    shown = next(p.detail for p in reversed(pages) if hasattr(p.detail, "evidence"))
    assert len(batch.images) == 3
    assert all((one.patches.width, one.patches.height) == (3, 3) for one in shown.evidence)
    page = json.loads(json.dumps(as_dict(batch), allow_nan=False))
    first = page["images"][0][ORIGINAL]
    assert first["patches"] is None and len(first["support"]) == 3
    assert "energy" in first["scores"] and "gl_mcm" not in first["scores"]


def test_a_score_of_patches_is_refused_in_the_page(library, pictures):
    _, pages = judged(library, pictures[0][:1], score="gl_mcm")
    assert "GL-MCM looks at patches, and timm:local-dir:resnet sees none" in words(pages[-1].notice)
    _, pages = judged(library, pictures[0][:1], score="energy")
    assert "looks at patches" not in words(pages[-1].notice)


def test_a_benchmark_measures_scores_of_the_whole_image(library, pictures):
    files = {"inside": benchmark.ZIP, "id_zip": pictures[1], "ood_zips": [pictures[1]]}
    asked = {"backbone": NAME, "labels": LABELS, **files}
    handlers = BenchmarkHandlers(library)
    views = list(handlers.run(None, *benchmark.controls(**asked, scores=["energy"])))
    assert "Done." in words(benchmark.filled(views, "notice")[-1])
    views = list(handlers.run(None, *benchmark.controls(**asked, scores=["mcm", "gl_mcm"])))
    assert "GL-MCM looks at patches" in words(benchmark.filled(views, "notice")[-1])


def test_the_search_says_why_it_cannot(library, pictures):
    handlers = SearchHandlers(library)
    said = {"backbone": NAME, "labels": LABELS, "zip": pictures[1], "top_k": 1}
    job = search.finished(handlers, **said)
    assert REASON in job.problem


def test_training_says_why_it_cannot(library, pictures):
    handlers = TrainingHandlers(library)
    said = TrainingControls("lora", ZIP, pictures[1], 2, 0.01, 8, 0.1, 1, 2, "16", False, 0)
    page = handlers.train(NAME, LABELS, PROMPT, NO_RECIPE, "mcm", 1.0, 1.0, *said)
    job = handlers.jobs.find(page.name)
    job.wait(SLOW)
    assert REASON in job.problem and REASON in words(training_words.state(job, []))


def test_spectrum_says_why_it_cannot(library):
    handlers = SpectrumHandlers(library)
    asked = Asked(NAME, LABELS, PROMPT, {}, None, "tail", LINEAR, NAME, NOTHING)
    for pages in (
        handlers.opened(NO_RECIPE, *asked),
        handlers.looked(*asked),
        handlers.ratio_set("visual.0.up", 0.2, *asked),
        handlers.range_set("visual", "0", "1", 0.2, *asked),
    ):
        assert REASON in words(list(pages)[-1].notice)
    assert REASON in words(list(handlers.other_chosen(NAME, NAME))[-1][1])
    assert REASON in words(handlers.used(*asked._replace(ratios={"visual.0.up": 0.2}))[1])
    for ask in (
        lambda: handlers.blocks(NAME, "visual"),
        lambda: handlers.values_file(True, *asked),
        lambda: Endpoints(library).spectrum(NAME),
        lambda: Endpoints(library).spectrum(NAME, "visual.0.up"),
    ):
        with pytest.raises(ValueError, match=REASON):
            ask()


def test_a_recipe_for_any_backbone_is_refused_when_it_is_used(library, pictures, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('{"ratios": {"visual.0.up": 0.1}}')
    title = choices.recipe_given(library, NAME, str(file)).recipe.value
    _, pages = judged(library, pictures[0][:1], recipe=title)
    assert REASON in words(pages[-1].notice)
