"""What the page says about itself."""

from demo.page import notices


def test_sentences_begin_with_a_capital_and_names_do_not():
    for said, shown in (
        ("there is no image", "There is no image"),
        ("timm:x is not supported", "timm:x is not"),
        ("notes.jpg: is empty", "notes.jpg: is"),
        ("“a” is no label", "“a” is"),
    ):
        assert shown in notices.notice(said).sentence and shown in notices.busy(said).sentence
