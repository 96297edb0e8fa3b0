"""How negatives are chosen, and what the second label set costs."""

import math

import pytest
import torch
import torch.nn.functional as F

from setar_core.backbones import load_backbone
from setar_core.data.negatives import Negative, Negatives
from setar_core.data.negatives.methods import Mining
from setar_core.data.negatives.words import Words, load_words
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe, Site
from setar_core.scores import kept as place
from setar_core.scores.embeddings import TextFeatures
from setar_core.scores.mining import (
    default_words,
    distances,
    mine,
    mining,
    negative_classifier,
    reading_negatives,
)
from setar_core.scores.negatives import neglabel
from tests.core.scores.steps import ended

LABELS = LabelSet(("zebra", "abacus", "otter"))
WORDS = Words(("lamp", "truck", "velvet", "moon", "chair", "army"), ("odd", "even", "royal", "hot"))
MANY = Words(tuple(f"{a} {b}" for a in WORDS.nouns for b in range(120)))  # worth keeping


@pytest.fixture
def read(monkeypatch, tmp_path, clip):
    """An empty cache, and how many texts the tower reads from now on."""
    monkeypatch.setenv("SETAR_CACHE", str(tmp_path))
    texts = []
    outputs = type(clip).reading_outputs

    def counted(self, some):
        texts.extend(some)
        return outputs(self, some)

    monkeypatch.setattr(type(clip), "reading_outputs", counted)
    return texts


@pytest.mark.parametrize("quantile", [0, 0.05, 0.5, 0.9, 0.95, 0.999, 1])
@pytest.mark.parametrize("labels", [2, 3, 21, 1000])
def test_a_distance_is_that_of_torch_quantile(quantile, labels):
    gen = torch.Generator().manual_seed(labels)
    rows, ids = torch.randn(500, 8, generator=gen), torch.randn(labels, 8, generator=gen)
    far, near = distances(rows, ids, quantile)
    theirs = torch.quantile(rows @ ids.T, quantile, dim=1)
    torch.testing.assert_close(far, theirs, rtol=1e-4, atol=1e-5)
    assert torch.equal(near, (rows @ ids.T).amax(dim=1))


@pytest.mark.parametrize("limit", [math.inf, 0.8])
@pytest.mark.parametrize("count", [1, 7, 3_000, 8_999, 9_000])
def test_no_word_that_is_sought_is_cut_off(count, limit):
    gen = torch.Generator().manual_seed(count)
    rows, ids = torch.randn(9_000, 16, generator=gen), torch.randn(1_000, 16, generator=gen)
    rows[4_000:4_100] = rows[:100]  # equal distances stay in their order
    rows, ids = F.normalize(rows, dim=1), F.normalize(ids, dim=1)
    exact, near = distances(rows, ids, 0.95)
    far, same = distances(rows, ids, 0.95, limit, count)
    allowed = near <= limit
    order, cut = exact.argsort(stable=True), far.argsort(stable=True)
    order, cut = (some[allowed[some]][:count] for some in (order, cut))
    assert torch.equal(near, same) and torch.equal(order, cut)
    assert torch.equal(exact[order], far[order])
    assert bool(far.isinf().any()) == (count < min(8_999, int(allowed.sum())))


def test_nouns_come_first_and_both_ascend(clip):
    found = mine(clip, LABELS, WORDS, Mining(share=0.5)).negatives
    assert [word.kind for word in found.words] == ["noun"] * 3 + ["adj"] * 2
    for kind in ("noun", "adj"):
        far = [word.distance for word in found.words if word.kind == kind]
        assert far == sorted(far)
    assert (found.labels, found.candidates, found.backbone) == (LABELS.names, 10, clip.name)
    assert Negatives.loads(found.dumps()) == found


def test_equal_distances_stay_in_the_order_of_reading(clip):
    twins = Words(("Truck", "truck", "TRUCK", "lamp"))  # the tokenizer reads lower case
    found = mine(clip, LABELS, twins, Mining(share=1)).negatives
    assert [w.word for w in found.words if w.word != "lamp"] == ["Truck", "truck", "TRUCK"]


def test_a_count_is_divided_as_the_candidates_are(clip):
    found = mine(clip, LABELS, WORDS, Mining(count=5)).negatives
    assert [word.kind for word in found.words] == ["noun"] * 3 + ["adj"] * 2
    assert len(mine(clip, LABELS, WORDS, Mining(count=10)).negatives) == 10
    with pytest.raises(ValueError, match="count is 11, and there are 10 candidates"):
        mine(clip, LABELS, WORDS, Mining(count=11))


def test_the_share_is_taken_before_words_too_like_a_label_are_left_out(clip):
    every = mine(clip, LABELS, WORDS, Mining(share=1)).negatives
    limit = sorted(word.distance for word in every.words)[3]
    some = mine(clip, LABELS, WORDS, Mining(share=0.5, quantile=1, too_like=limit)).negatives
    loose = mine(clip, LABELS, WORDS, Mining(share=0.5, quantile=1)).negatives
    assert len(loose) == 5 and 0 < len(some) <= 5 and some.too_like > 0
    assert {w.word for w in some.words} <= {w.word for w in every.words if w.distance <= limit}
    assert f"{some.too_like} of 10 candidates have a cosine above" in some.doubts[0]


def test_a_label_is_a_candidate_like_any_other(clip):
    """Unless it is too like one: its own cosine of 1 may be rounded to more."""
    words = Words((*LABELS.names, "lamp"))
    assert len(mine(clip, LABELS, words, Mining(share=1)).negatives) == 4
    left = mine(clip, LABELS, words, Mining(share=1, too_like=0.99999)).negatives
    assert not {word.word for word in left.words} & set(LABELS.names)


def test_none_that_is_left_is_refused(clip):
    for settings in (Mining(share=0.1), Mining(share=1, too_like=-1)):
        with pytest.raises(ValueError, match="none of 10 candidates is left"):
            mine(clip, LABELS, WORDS, settings)


def test_steps_count_the_prompts(clip):
    steps = mining(clip, LABELS, WORDS, Mining("csp", 1, too_like=1))
    counts = list(steps)
    assert counts == sorted(counts) and counts[-1] == 8 * (3 + 6) + 4 * 4


def test_progress_is_told_in_sentences(clip, read):
    told = []
    mine(clip, LABELS, MANY, progress=told.append)
    assert told and all(line.startswith("reading candidates: ") for line in told)


def test_a_row_is_that_of_its_word_in_any_order(clip):
    words = (Negative("odd", "adj"), Negative("lamp"), Negative("hot", "adj"), Negative("truck"))
    found = negative_classifier(clip, LABELS, Negatives(words))
    reader = TextFeatures(clip)
    assert found.words == ("odd", "lamp", "hot", "truck")
    for row, (word, kind, _) in zip(found.negatives, words, strict=True):
        template = {"noun": "the nice {}", "adj": "This is a {} photo"}[kind]
        torch.testing.assert_close(row, ended(reader.reading([word], [template]))[0])
    torch.testing.assert_close(found.labels, ended(reader.reading(LABELS.names, ["the nice {}"])))


def test_an_ensemble_is_the_mean_of_what_is_not_normalised(clip):
    templates = ("{}", "the good {}", "a photo of the nice {}.")
    rows = [ended(clip.reading_outputs([t.format("lamp")]))[0] for t in templates]
    theirs = torch.nn.functional.normalize(torch.stack(rows).mean(dim=0), dim=0)
    ours = ended(TextFeatures(clip).reading(["lamp"], templates))[0]
    torch.testing.assert_close(ours, theirs)
    units = torch.nn.functional.normalize(torch.stack(rows), dim=1).mean(dim=0)
    assert (ours - torch.nn.functional.normalize(units, dim=0)).abs().max() > 1e-4


def test_a_word_list_is_mined_with_the_defaults(clip):
    listed = Negatives.loads("\n".join(MANY.nouns), "csp")
    ours = negative_classifier(clip, LABELS, listed)
    theirs = mine(clip, LABELS, MANY, Mining("csp"))
    assert ours.words == theirs.classifier.words and len(ours.words) == 108
    assert ours.fingerprint == theirs.negatives.fingerprint


def test_negatives_of_other_labels_are_refused(clip):
    found = mine(clip, LABELS, WORDS, Mining(share=0.5)).negatives
    with pytest.raises(ValueError, match="other labels"):
        negative_classifier(clip, LabelSet(("zebra", "fox")), found)


def test_a_backbone_without_texts_is_refused(golden):
    swin = load_backbone(f"timm:local-dir:{golden / 'swin'}")
    with pytest.raises(ValueError, match="no text tower to read negative labels with"):
        mine(swin, LABELS, WORDS)


def test_few_negatives_make_few_groups_and_never_a_constant_score(clip):
    found = mine(clip, LabelSet(LABELS.names[:2]), WORDS, Mining(share=0.5))
    assert "5 groups of one" in found.negatives.doubts[0]
    images = torch.nn.functional.normalize(torch.randn(9, clip.towers["text"].width), dim=1)
    cosines = found.classifier.cosines(images)
    assert neglabel(cosines).unique().numel() == 9
    with pytest.raises(ValueError, match="at most 5 groups"):
        neglabel(cosines, groups=6)


def test_another_label_set_reads_no_candidate_again(clip, read):
    first = mine(clip, LABELS, MANY)
    read.clear()
    again = mine(clip, LABELS, MANY)
    assert len(read) == len(LABELS)
    assert again.negatives == first.negatives
    assert torch.equal(again.classifier.negatives, first.classifier.negatives)
    read.clear()
    other = LabelSet(("heron", "stove"))
    mine(clip, other, MANY)
    assert read == ["the nice heron", "the nice stove"]


def test_the_last_piece_is_kept_however_short(clip, read, monkeypatch):
    monkeypatch.setattr("setar_core.scores.embeddings.PIECE", 359)
    first = mine(clip, LABELS, MANY)  # 359, 359 and 2
    read.clear()
    assert mine(clip, LABELS, MANY).negatives == first.negatives
    assert len(read) == len(LABELS)


def test_another_tower_prompt_or_word_is_read(clip, read):
    changes = Recipe({Site("text", 1, "up"): 0.4})
    mine(clip, LABELS, MANY)
    for backbone, words, settings in (
        (clip.with_recipe(changes), MANY, Mining()),
        (clip, MANY, Mining(prompt="a {}")),
        (clip, Words(MANY.nouns[1:]), Mining()),
    ):
        read.clear()
        mine(backbone, LABELS, words, settings)
        assert len(read) == len(words) + len(LABELS)
    read.clear()
    mine(clip.with_recipe(Recipe({Site("visual", 1, "up"): 0.4})), LABELS, MANY)
    assert len(read) == len(LABELS)  # its text tower is the same


def test_a_corrupt_file_is_read_anew(clip, read):
    first = mine(clip, LABELS, MANY).negatives
    for path in place.cache().rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-3])
    read.clear()
    assert mine(clip, LABELS, MANY).negatives == first
    assert len(read) == len(MANY) + len(LABELS)


def test_what_was_chosen_is_not_read_again_to_score(clip, read):
    found = mine(clip, LABELS, MANY, Mining(share=0.8))
    read.clear()
    again = negative_classifier(clip, LABELS, found.negatives)
    assert len(read) == len(LABELS)
    assert torch.equal(again.negatives, found.classifier.negatives)
    assert again.fingerprint == found.classifier.fingerprint


def test_a_recipe_changes_what_negatives_are_not_which(clip):
    found = mine(clip, LABELS, WORDS, Mining(share=1))
    other = clip.with_recipe(Recipe({Site("text", 1, "up"): 0.4}))
    there = ended(reading_negatives(other, LABELS, found.negatives))
    assert there.words == found.classifier.words
    assert there.fingerprint == found.classifier.fingerprint
    assert not torch.allclose(there.negatives, found.classifier.negatives)


def test_the_embedded_backbone_takes_what_it_was_taught():
    emoji = load_backbone("emoji")
    animals = LabelSet.load("animals")
    assert default_words(emoji) == "vocabulary"
    words = load_words("vocabulary", Mining(), emoji.concepts, animals.names)
    found = mine(emoji, animals, words).negatives
    assert len(found) == len(words) == 219 - len(animals)
    assert found.mining.share == 1 and not {w.word for w in found.words} & set(animals.names)
