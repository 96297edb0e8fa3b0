"""Label sets read from names, text and files, and refuse what cannot be scored."""

import json

import pytest

from setar_core.labels import LabelSet, shipped_label_sets, shipped_prompts


def test_text_and_json_give_the_same_set(tmp_path):
    (tmp_path / "l.txt").write_text("\ufeffcat\n\n  hot dog \r\ncafé\n", encoding="utf-8")
    (tmp_path / "l.json").write_text(json.dumps(["cat", "hot dog", "café"]))
    text, page = LabelSet.load(tmp_path / "l.txt"), LabelSet.load(tmp_path / "l.json")
    assert text == page
    assert text.prompts == ("a photo of a cat", "a photo of a hot dog", "a photo of a café")
    assert text.fingerprint == page.fingerprint != LabelSet.parse("cat\nhot dog").fingerprint


def test_braces_in_a_label_are_only_text():
    assert LabelSet(("{}", "{0}"), prompt="a {}").prompts == ("a {}", "a {0}")


def test_duplicates_are_told():
    assert LabelSet(("a", "b", "a")).duplicates == ("a",)
    assert len(LabelSet.load("imagenet1k").duplicates) == 2  # crane and maillot


@pytest.mark.parametrize(
    ("names", "prompt", "reason"),
    [((), "{}", "empty"), (("cat",), "{}", "only label"), (("a", ""), "{}", "no text"),
     (("a", "b" * 10_000), "{}", "10000 characters"), (("a", "b"), "no place", "must hold"),
     (("a", "b"), "{} {}", "must hold"), (("x",) * 25_001, "{}", "too many")],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused(names, prompt, reason):
    with pytest.raises(ValueError, match=reason):
        LabelSet(names, prompt)


def test_an_unknown_set_lists_the_shipped_ones():
    with pytest.raises(ValueError, match="imagenet1k"):
        LabelSet.load("imagenet2k")


@pytest.mark.parametrize("content", ["{}", "[1, 2]", "[", '["a"]'])
def test_json_that_is_no_list_of_labels_is_refused(tmp_path, content):
    (tmp_path / "l.json").write_text(content)
    with pytest.raises(ValueError):
        LabelSet.load(tmp_path / "l.json")


def test_every_shipped_set_reads():
    sizes = {name: len(LabelSet.load(name)) for name in shipped_label_sets()}
    expected = {"imagenet1k": 1000, "voc20": 20, "cifar10": 10, "cifar100": 100, "dtd47": 47}
    expected |= {"sun397": 397, "places365": 365}
    assert expected.items() <= sizes.items()


def test_a_head_of_imagenet_21k_has_room():
    names = tuple(f"class {i}" for i in range(21_843))
    assert len(LabelSet(names)) == 21_843
    with pytest.raises(ValueError, match="at most 25000"):
        LabelSet(names * 2)


@pytest.mark.parametrize("name", shipped_prompts())
def test_a_shipped_list_of_templates_is_open_clips(name):
    from open_clip import zero_shot_metadata

    theirs = {
        "imagenet80": zero_shot_metadata.OPENAI_IMAGENET_TEMPLATES,
        "imagenet7": zero_shot_metadata.SIMPLE_IMAGENET_TEMPLATES,
    }[name]
    labels = LabelSet(("fox", "bee"), name)
    assert labels.templates == tuple(template("{}") for template in theirs)
    assert labels.prompts[:2] == tuple(theirs[0](label) for label in ("fox", "bee"))


def test_a_prompt_of_several_lines_is_as_many_templates():
    labels = LabelSet(("fox", "bee"), "a {}\r\n\nthe {}\na {}")
    assert labels.templates == ("a {}", "the {}")
    assert labels.prompts == ("a fox", "a bee", "the fox", "the bee")
    with pytest.raises(ValueError, match="prompt 'the label' must hold"):
        LabelSet(("fox", "bee"), "a {}\nthe label")
    with pytest.raises(ValueError, match="too many prompts"):
        LabelSet(tuple(map(str, range(20_000))), "\n".join(f"{i} {{}}" for i in range(11)))
