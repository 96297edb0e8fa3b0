"""Laws of the emoji world, of its shipped pictures and of the backbone trained on it."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from assets.build import batches, benchmark, captions, draws, evaluate, sets, train, world
from assets.build.drawing import backgrounds, scenes, sprites

ASSETS = Path(__file__).parents[2] / "assets"
BACKBONE = ASSETS / "backbones" / "emoji"
SMALL = batches.Sizes(named=48, empty=3, nothing=9, backgrounds=300, counter_examples=200)


@pytest.fixture(scope="module")
def font() -> Path:
    try:
        return sprites.font_path()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def source(font) -> batches.SceneSource:
    return batches.SceneSource(3, SMALL)


@pytest.fixture(scope="module")
def scorer() -> evaluate.Scorer:
    return evaluate.Scorer(BACKBONE)


def test_trained_and_held_out_share_no_name_and_no_sprite():
    seen, unseen = world.trained(), world.held_out()
    assert (len(seen), len(unseen)) == (219, 108)
    assert not {c.name for c in seen} & {c.name for c in unseen}
    sets_of_signs = [set("".join(c.emoji for c in cs)) for cs in (seen, unseen, world.glyphs())]
    for i, first in enumerate(sets_of_signs):
        for second in sets_of_signs[i + 1 :]:
            assert not first & second


def test_held_out_backgrounds_are_not_drawn_in_training(source):
    assert not set(backgrounds.TRAINED) & set(backgrounds.HELD_OUT)
    assert set(source.families) == set(backgrounds.TRAINED) == set(captions.PLACES)


def test_training_captions_hold_only_listed_words_and_no_held_out_name(source):
    words = set(captions.vocabulary())
    texts = [text for _ in range(5) for text in source.batch().captions + source.label_prompts()]
    spoken = {word for text in texts for word in re.findall(r"[a-z]+", text)}
    assert spoken <= words
    trained = sorted((c.name for c in world.trained()), key=len, reverse=True)
    rest = re.sub("|".join(rf"\b{name}\b" for name in trained), "", " . ".join(texts))
    # What is left once "boxing glove" is taken out holds no "glove".
    assert not [c.name for c in world.held_out() if re.search(rf"\b{c.name}\b", rest)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("owl", "an"),
        ("unicorn", "a"),
        ("umbrella", "an"),
        ("hourglass", "an"),
        ("ice skate", "an"),
        ("fox", "a"),
        ("house", "a"),
        ("eagle", "an"),
    ],
)
def test_articles_follow_the_sound(words, expected):
    assert world.article(words) == expected


def test_captions_are_plain_english():
    rng = random.Random(0)
    things = {c.name: c for c in world.trained()}
    several = [things[name] for name in ("fox", "car", "grapes")]
    texts = [captions.caption(several, "bricks", 0.6, False, rng) for _ in range(80)]
    assert "a photo of a fox, a car and grapes on a brick wall" in texts
    one = {captions.caption([things["owl"]], "grass", 0.45, True, rng) for _ in range(200)}
    assert "a black and white photo of a small owl on the grass" in one
    assert not [text for text in one if re.search(r"\ba [aeio]|\ban [^aeiou]|  ", text)]


def test_same_seed_same_batch(font):
    first, second = (batches.SceneSource(5, SMALL).batch() for _ in range(2))
    assert torch.equal(first.pictures, second.pictures) and first.captions == second.captions


def test_named_scenes_have_distinct_main_concepts_and_counter_examples_no_label(source):
    batch = source.batch()
    named = source.sizes.named
    assert torch.allclose(batch.target[:named].sum(1), torch.ones(named))
    assert not batch.there[named:].any() and not batch.target[named:].any()
    assert ((batch.target > 0) & ~batch.there).sum() == 0


def test_a_layout_looks_the_same_at_any_side(font):
    gen = torch.Generator().manual_seed(0)
    atlas = sprites.atlas_of("🦊🚗🍕")
    layout = scenes.arrange(torch.tensor([[0, 1, 2], [1, -1, -1]]), gen)
    large = scenes.draw(atlas, layout, torch.full((2, 3, 256, 256), 0.5))
    small = scenes.draw(atlas, layout, torch.full((2, 3, 64, 64), 0.5))
    assert (torch.nn.functional.avg_pool2d(large, 4) - small).abs().mean() < 0.01


@pytest.mark.parametrize("name", sorted(backgrounds.TRAINED | backgrounds.HELD_OUT))
def test_a_background_is_a_picture_fixed_by_its_seed(name):
    first, second = (
        backgrounds.draw_family(name, 2, 48, torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert first.shape == (2, 3, 48, 48) and torch.equal(first, second)
    assert first.min() >= 0 and first.max() <= 1


def test_sets_are_disjoint_by_seed_and_fixed_by_it(font):
    seeds = [chosen.seed for chosen in sets.SETS.values()]
    assert len(set(seeds)) == len(seeds) and min(seeds) >= sets.FIRST_SEED > train.Plan().seed
    drawn = {
        name: [scene.picture for scene in sets.draw_set(name, 3, 48)]
        for name in ("id", "calibration")
    }
    assert not any(torch.equal(a, b) for a in drawn["id"] for b in drawn["calibration"])
    again = [scene.picture for scene in sets.draw_set("id", 7, 48)][:3]
    assert all(torch.equal(a, b) for a, b in zip(drawn["id"], again, strict=True))
    with pytest.raises(ValueError, match="training scenes"):
        next(sets.draw_set("id", 1, 48, seed=0))


def test_ood_sets_hold_no_id_concept(font):
    animals = set(world.label_names("animals"))
    for name in sets.OOD_SETS:
        assert not {scene.name for scene in sets.draw_set(name, 60, 32)} & animals


def test_a_missing_font_names_the_remedy(monkeypatch):
    monkeypatch.setattr(sprites, "FONT_PLACES", (Path("/nowhere/NotoColorEmoji.ttf"),))
    with pytest.raises(FileNotFoundError, match="apt-get install fonts-noto-color-emoji"):
        sprites.font_path()


def test_a_short_training_run_learns(font):
    sizes = SMALL._replace(named=16, empty=1, nothing=3)
    plan = train.Plan(60, warm_up=8, sparse=1.0, company=1e9, seed=11, sizes=sizes, half=False)
    losses = [step.terms.total.item() for step in train.train(plan)]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.4


def test_label_lists_are_the_trained_concepts():
    for name in world.LABEL_SETS:
        lines = (ASSETS / "labels" / f"{name}.txt").read_text("utf-8").splitlines()
        assert lines == world.label_names(name)


def test_shipped_files_are_small():
    files = [path for path in BACKBONE.iterdir() if path.is_file()]
    assert {"open_clip_config.json", "open_clip_model.safetensors", "words.txt", "README.md"} <= {
        path.name for path in files
    }
    assert max(path.stat().st_size for path in files) < 10_000_000
    drawn = [path.stat().st_size for path in (ASSETS / "benchmark").rglob("*.webp")]
    assert len(drawn) == sum(benchmark.COUNTS.values()) and sum(drawn) <= benchmark.LIMIT
    assert (ASSETS / "OFL.txt").read_text("utf-8").startswith("SIL OPEN FONT LICENSE Version 1.1")


def test_weights_are_half_precision():
    with safe_open(BACKBONE / "open_clip_model.safetensors", "pt") as weights:
        names = list(weights.keys())
        assert {weights.get_tensor(name).dtype for name in names} == {torch.float16}


def test_words_are_those_of_the_captions():
    assert (BACKBONE / "words.txt").read_text("utf-8").split() == captions.vocabulary()


def test_concepts_are_what_training_scenes_show():
    lines = (BACKBONE / "concepts.txt").read_text("utf-8").splitlines()
    assert lines == [concept.name for concept in world.trained()]


def test_the_shipped_benchmark_is_what_the_seed_draws(font):
    first = next(benchmark.scenes_of("id", 1, benchmark.DRAW))
    stored = np.asarray(Image.open(ASSETS / "benchmark" / "id" / first.name / "000.webp")) / 255
    assert np.abs(first.picture.permute(1, 2, 0).numpy() - stored).mean() < 0.03


def test_boxes_lie_around_the_objects(font):
    """Of a scene of one object, the pixels that differ from its background lie in the box."""
    gen = torch.Generator().manual_seed(8)
    atlas = sprites.atlas_of("🦊🍕")
    rows = torch.tensor([[0, -1, -1], [1, 0, -1]])
    layout = scenes.arrange(rows, gen)
    green = torch.tensor([0.0, 1, 0]).view(3, 1, 1).expand(2, 3, 96, 96)
    changed = (scenes.draw(atlas, layout, green)[0] - green[0]).abs().amax(0) > 0.45  # no shadow
    down, along = changed.any(1).nonzero(), changed.any(0).nonzero()
    found = scenes.boxes(atlas, layout)
    seen = torch.cat((along[0], down[0], along[-1] + 1, down[-1] + 1)) / 96
    assert torch.allclose(found[0, 0], seen, atol=0.05)
    assert not found[0, 1:].any() and found[1, :2].any(1).all() and not found[1, 2].any()
    assert (found[..., 2:] >= found[..., :2]).all() and found.amax() <= 1


def test_the_boxes_are_those_of_the_shipped_scenes():
    boxes = json.loads((ASSETS / "benchmark" / "boxes.json").read_text("utf-8"))
    named = ("id", "calibration", "near", "other", "glyphs")
    shipped = {
        path.relative_to(ASSETS / "benchmark").as_posix()
        for name in named
        for path in (ASSETS / "benchmark" / name).rglob("*.webp")
    }
    assert set(boxes) == shipped
    for at, found in boxes.items():
        main = at.split("/")[1] if at.count("/") == 2 else at.split("/")[1].rpartition("-")[0]
        assert found[0][0].replace(" ", "-") == main.replace(" ", "-")
        for _, left, top, right, bottom in found:
            assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1


def test_the_draw_nearest_the_median_is_chosen():
    figures = np.array([[90.0, 9.0], [95.0, 4.0], [92.0, 7.0], [93.0, 6.5], [99.0, 1.0]])
    assert draws.nearest_median(figures) == 3
    scores = {"id": np.array([[3.0, 0.0], [4, 1], [5, 2]]), "near": np.array([[1.0, 3], [2, 4]])}
    found = draws.Drawn(1, scores).figures({"id": 3, "near": 2})
    assert found["mcm"]["near"] == (100.0, 0.0) and found["gl_mcm"]["near"] == (0.0, 100.0)


def test_the_backbone_holds_its_bars_on_the_shipped_pictures(scorer):
    animals = world.label_names("animals")
    texts = scorer.texts(animals)

    def look(name: str) -> evaluate.Cosines:
        paths = sorted((ASSETS / "benchmark" / name).rglob("*.webp"))
        images = torch.stack([scorer.preprocess(Image.open(path)) for path in paths])
        return evaluate.cosines_of_images(scorer, texts, images, [p.parent.name for p in paths])

    inside = look("id")
    right = inside.whole.argmax(-1) == torch.tensor([animals.index(n) for n in inside.names])
    assert right.float().mean() >= 0.95
    rows = evaluate.ood_rows(inside, {name: look(name) for name in sets.OOD_SETS})
    for score, mean in (("mcm", 96.5), ("gl_mcm", 96.5)):
        areas = {row.name: getattr(row, score).auroc for row in rows}
        assert areas["near"] >= 92
        assert np.mean(list(areas.values())) >= mean
