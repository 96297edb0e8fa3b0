"""Negatives as JSON, and where their candidates come from."""

import json
from collections import Counter

import pytest

from setar_core.data.negatives import Negative, Negatives
from setar_core.data.negatives.methods import METHODS, Mining
from setar_core.data.negatives.words import Words, candidates, load_words, vocabulary, wordnet
from setar_core.labels import LabelSet

MADE = Negatives(
    (Negative("lamp", "noun", 0.25), Negative("open space", "adj", -0.5), Negative("truck")),
    Mining("csp", 0.5, quantile=0.9, seed=4, exclude=("noun.food",), prompt="a {}\nthe {}"),
    ("fox", "bee"),
    "emoji",
    "12",
    "original",
    9,
    2,
)
PAGE = json.loads(MADE.dumps())
LISTS = {"noun.b": ["b_c", "a"], "adj.x": ["odd", "a", "even"], "noun.food": ["jam"]}


def changed(**values):
    return json.dumps({**PAGE, **values})


def test_what_was_saved_is_read_again(tmp_path):
    MADE.save(tmp_path / "n.json")
    assert Negatives.load(tmp_path / "n.json") == MADE
    assert PAGE["negatives"][0] == {"word": "lamp", "kind": "noun", "distance": 0.25}
    assert PAGE["negatives"][2]["distance"] is None


def test_a_list_edited_by_hand_needs_only_words():
    found = Negatives.loads('{"method": "csp", "negatives": [{"word": "lamp"}]}')
    assert (found.method, found.words, found.labels) == ("csp", (Negative("lamp"),), ())
    assert found.is_mined
    found.check(LabelSet(("any", "labels")))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "no negatives"),
        ('{"negatives": []}', "no negative label"),
        ('{"negatives": {}}', "no negatives"),
        ('{"negatives": [], "negatives": []}', "there twice"),
        ('{"negatives": ["lamp"]}', "is no entry"),
        ('{"negatives": [{"kind": "noun"}]}', "is no entry"),
        ('{"negatives": [{"word": "a", "sort": "noun"}]}', "is no entry"),
        ('{"negatives": [{"word": 3}]}', "has no text"),
        ('{"negatives": [{"word": " \\u200b"}]}', "has no text"),
        ('{"negatives": [{"word": "\\ud800"}]}', "half a character"),
        ('{"negatives": [{"word": "a"}, {"word": "a"}]}', "there twice"),
        ('{"negatives": [{"word": "a", "kind": "verb"}]}', "kind of 'a'"),
        ('{"negatives": [{"word": "a", "kind": ["noun"]}]}', "kind of 'a'"),
        ('{"negatives": [{"word": "a", "distance": NaN}]}', "no number"),
        ('{"negatives": [{"word": "a", "distance": 1e999}]}', "no number"),
        ('{"negatives": [{"word": "a", "distance": true}]}', "distance of 'a'"),
        ('{"negatives": [{"word": "a", "distance": "0.1"}]}', "distance of 'a'"),
        (json.dumps({"negatives": [{"word": "a" * 300}]}), "300 characters"),
        (changed(method="mcm"), "method is 'mcm'"),
        (changed(method=["csp"]), "method is"),
        (changed(labels="fox"), "labels is 'fox'"),
        (changed(labels=["fox", 3]), "labels is"),
        (changed(labels=["fox"]), "only label"),
        (changed(backbone=3), "backbone is 3"),
        (changed(recipe="r" * 300), "recipe is"),
        (changed(candidates=-1), "candidates is -1"),
        (changed(too_like=1.5), "too_like is 1.5"),
        (changed(settings=[]), "settings is"),
        (changed(settings={"shares": 1}), "settings is"),
        (changed(settings={"share": 2}), "share is 2"),
        (changed(settings={"share": 0.1, "count": 3}), "give one of them"),
        (changed(settings={"count": 2.0}), "count is 2.0"),
        (changed(settings={"count": True}), "count is True"),
        (changed(settings={"quantile": None}), "quantile is None"),
        (changed(settings={"too_like": "much"}), "too like is 'much'"),
        (changed(settings={"exclude": "noun.food"}), "exclude is 'noun.food'"),
        (changed(settings={"exclude": [["noun.food"]]}), "exclude is"),
        (changed(settings={"seed": -1}), "seed is -1"),
        (changed(settings={"prompt": "no place"}), "must hold {} once"),
        (changed(settings={"prompt": "\n".join(["a {}"] * 101)}), "101 templates"),
        (changed(settings={"prompt": 3}), "must hold {} once"),
        ("[" * 100_000 + "]" * 100_000, "nested"),
        ('[["lamp"]]', "no JSON list of words"),
        ("", "no negative label"),
        ('{"negatives": ', "not JSON"),
    ],
)
def test_what_is_no_list_of_negatives_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        Negatives.loads(text)


def test_too_many_words_are_refused():
    with pytest.raises(ValueError, match="200001 negatives are too many"):
        Negatives(tuple(Negative(str(i)) for i in range(200_001)))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin.txt").write_bytes("Käse".encode("latin-1"))
    for name, reason in (("latin.txt", "not UTF-8"), ("none.txt", "no such file"), ("", "no such")):
        with pytest.raises(ValueError, match=reason):
            Negatives.load(tmp_path / name)


@pytest.mark.parametrize("text", ["lamp\r\n\n truck \nlamp\n", '["lamp", "truck", "lamp"]'])
def test_a_word_list_is_yet_to_be_mined(text):
    found = Negatives.loads(text, "csp")
    assert [word.word for word in found.words] == ["lamp", "truck"]
    assert not found.is_mined and found.method == "csp"


def test_the_fingerprint_tells_what_a_score_depends_on():
    def of(*words, settings=MADE.mining, **others):
        return Negatives(words or MADE.words, settings, **others).fingerprint

    first, second, third = MADE.words
    others = {
        of(second, first, third),
        of(first, second),
        of(first._replace(word="lamps"), second, third),
        of(first._replace(kind="adj"), second, third),
        of(settings=Mining("csp")),
        of(settings=Mining("neglabel")),
        of(is_mined=False),
        MADE.fingerprint,
    }
    assert len(others) == 8
    assert of(first._replace(distance=None), second, third, labels=("a", "b")) == MADE.fingerprint


def test_they_are_for_the_labels_they_were_mined_for():
    MADE.check(LabelSet(("bee", "fox"), "the {}"))
    for names in (("fox", "bee", "owl"), ("fox", "owl")):
        with pytest.raises(ValueError, match=r"other labels \(now there are owl\); mine again"):
            MADE.check(LabelSet(names))


def test_a_word_in_two_lists_belongs_to_the_first_by_name():
    found = candidates(LISTS, Mining(exclude=()), "mine")
    assert found.adjectives == ("odd", "a", "even")
    assert found.nouns == ("b_c", "jam")
    assert candidates(LISTS, Mining(), "mine").nouns == ("b_c",)


def test_csp_sets_a_noun_behind_adjectives_and_a_duplicate_draws_none():
    def of(*adjectives, seed=0):
        lists = {"adj.all": adjectives, "noun.x": ["a_b"]}
        return candidates(lists, Mining("csp", seed=seed), "mine")

    assert of("odd").nouns == ("a b",)
    assert of("odd", "even").adjectives == of("odd", "odd", "even").adjectives
    drawn = of(*map(str, range(999))).adjectives
    assert drawn != of(*map(str, range(999)), seed=1).adjectives
    assert {word.split(" ")[1] for word in drawn} == set(METHODS["csp"].superclasses)


def test_a_list_to_exclude_has_to_be_there(tmp_path):
    with pytest.raises(ValueError, match=r"noun\.animals, and mine has no such list"):
        candidates(LISTS, Mining(exclude=("noun.animals",)), "mine")
    (tmp_path / "words.txt").write_text("lamp\n")
    with pytest.raises(ValueError, match=r"words\.txt is one list"):
        load_words(tmp_path / "words.txt", Mining(exclude=("noun.food",)))


def test_a_folder_holds_lists_by_kind(tmp_path):
    for name, text in (("noun.b.txt", "[odd\nb\n"), ("adj.txt", "c\nb\n"), ("verb.txt", "d\n")):
        (tmp_path / name).write_text(text)
    found = load_words(tmp_path)
    assert (found.nouns, found.adjectives) == (("[odd",), ("c", "b"))
    (tmp_path / "noun.b.txt").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"noun\.b\.txt: it is not UTF-8"):
        load_words(tmp_path)


@pytest.mark.parametrize("source", ["wordnets", "", "."])
def test_no_source_is_told_with_what_there_is(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"noun\.\*\.txt"):
        load_words(source)


def test_a_file_of_negatives_can_be_mined_again(tmp_path):
    MADE.save(tmp_path / "n.json")
    found = load_words(tmp_path / "n.json", Mining("csp"))
    assert (found.nouns, found.adjectives) == (("lamp", "truck"), ("open space",))


def test_wordnet_is_whole():
    lists = wordnet()

    def count(kind, method=None):
        exclude = METHODS[method].exclude if method else ()
        names = [name for name in lists if name.startswith(kind) and name not in exclude]
        return len({word for name in names for word in lists[name]})

    assert (count("noun"), count("adj")) == (117_798, 21_479)
    assert (count("noun", "neglabel"), count("noun", "csp")) == (101_807, 80_611)
    assert count("adj", "csp") == 17_814
    assert len(lists) == 29 and "fox" in lists["noun.animal"] and "able" in lists["adj.all"]
    words = Counter(word for some in lists.values() for word in some)
    assert not [word for word in words if word != word.lower().strip() or "_" in word or not word]


@pytest.mark.parametrize("method", METHODS)
def test_all_of_wordnet_can_be_candidates(method):
    found = load_words("wordnet", Mining(method))
    every = (*found.nouns, *found.adjectives)
    assert 96_000 < len(every) < 125_000 and found.source == "wordnet"
    assert len(set(found.nouns)) + len(set(found.adjectives)) == len(every)


def test_a_vocabulary_is_what_was_taught_without_the_labels():
    found = vocabulary(("fox", "owl", "lamp"), ("Fox",))
    assert (found.nouns, found.adjectives, found.share) == (("owl", "lamp"), (), 1.0)
    with pytest.raises(ValueError, match="is not known"):
        vocabulary(())
    with pytest.raises(ValueError, match="all that the backbone was taught"):
        vocabulary(("fox",), ("fox",))


def test_words_are_checked():
    for nouns in ((), ("a", "\u200b"), ("a" * 300,), tuple(map(str, range(200_001)))):
        with pytest.raises(ValueError, match=r"candidate|word"):
            Words(nouns)
