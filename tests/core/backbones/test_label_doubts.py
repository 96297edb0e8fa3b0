"""Labels that the text tower reads otherwise than they are written."""

from functools import partial

import pytest
import torch

from setar_core.backbones import load_backbone
from setar_core.labels import LabelSet

LONG = "🦊" * 100


@pytest.mark.parametrize(
    "names",
    [("Fox", "fox"), ("sea lion", "sea  lion"), ("fox!", "fox !"), ("café", "cafe\u0301"),
     ("ｆｏｘ", "fox"), ("fox &amp; bee", "fox & bee"), ("ﬁsh", "fish")],
)  # fmt: skip
def test_what_becomes_one_text_is_told(names, clip):
    labels = LabelSet((*names, "guitar"))
    (said,) = clip.doubts(labels)
    assert said.endswith(f"share their probability: {names[0]!r} = {names[1]!r}")
    rows = clip.classifier(labels).weight
    near = partial(torch.allclose, atol=1e-5)  # a row's place in the batch moves its last bits
    assert near(rows[0], rows[1]) and not near(rows[0], rows[2])


def test_what_is_cut_and_becomes_one_text_is_told(clip):
    labels = LabelSet((f"{LONG} a", f"{LONG} b", "fox"))
    cut, alike = clip.doubts(labels)
    assert cut.startswith("labels are cut after 77 tokens with their prompt: 🦊🦊")
    assert "share their probability: '🦊" in alike
    rows = clip.classifier(labels).weight
    assert torch.allclose(rows[0], rows[1], atol=1e-5)
    (cut,) = clip.doubts(LabelSet((LONG, "fox")))
    assert "cut after 77" in cut


def test_tokens_and_what_is_cut_are_the_tokenizers_own(clip):
    tower = clip.tower("text")
    for count in (70, 71, 72, 73, 74, 75, 76, 90):
        texts = ["fox " * count, "a b"]
        tokens, cut = tower.tokens(texts)
        assert tokens.equal(clip.tokenizer(texts))
        assert cut == ([0] if count > 75 else [])  # a start and an end are tokens too


def test_usual_labels_raise_no_doubt(clip):
    assert clip.doubts(LabelSet.load("animals")) == ()
    assert clip.doubts(LabelSet(("fox", "fox", "bee"))) == ()  # which their set tells itself


def test_a_head_reads_no_labels(golden):
    swin = load_backbone(f"timm:local-dir:{golden / 'swin'}")
    assert swin.doubts(LabelSet(("Fox", "fox", *map(str, range(22))))) == ()
