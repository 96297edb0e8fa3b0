"""Lists of labels as their makers write them: read where it is certain what is meant."""

import json

import pytest

from setar_core.labels import LabelSet
from setar_core.labels.reading import names_in

WANTED = ("fox", "guitar, acoustic", "sea lion")

FORMS = {
    "lines": "fox\n\n  guitar, acoustic \r\nsea lion\n",
    "ids of WordNet": "n02119789 fox\nn02676566 guitar, acoustic\nn02077923 sea lion",
    "ids and tabs": "n02119789\tfox\nn02676566\tguitar, acoustic\nn02077923\tsea lion",
    "numbers and colons": "0: fox\n1: guitar, acoustic\n2: sea lion",
    "numbers of a list": "1. fox\n2. guitar, acoustic\n3. sea lion",
    "numbers and commas": "0,fox\n1,guitar, acoustic\n2,sea lion",
    "numbers at the end": "fox,0\nguitar, acoustic,1\nsea lion,2",
    "Markdown": "- fox\n- guitar, acoustic\n- sea lion",
    "LaTeX": "\\item fox\n\\item guitar, acoustic\n\\item sea lion",
    "YAML": "names:\n  0: fox\n  1: guitar, acoustic\n  2: sea lion\n",
    "a YAML list": "names:\n- fox\n- 'guitar, acoustic'\n- sea lion\n".replace("'", ""),
    "quoted lines": '"fox",\n"guitar, acoustic",\n"sea lion"',
    "a Markdown table": "| id | name |\n|---:|---|\n| 0 | fox |\n| 1 | guitar, acoustic |\n"
    "| 2 | sea lion |",
    "a table with a header": 'id,name\n0,fox\n1,"guitar, acoustic"\n2,sea lion\n',
    "a table with a number for a label": 'label,name\n7,fox\n3,"guitar, acoustic"\n5,sea lion\n',
    "a table of three columns": "name;wnid;count\nfox;n02119789;5\nguitar, acoustic;n02676566;7\n"
    "sea lion;n02077923;9",
    "a table with tabs": "Label\tnote\nfox\tx\nguitar, acoustic\ty\nsea lion\tz",
    "JSON": json.dumps(WANTED),
    "JSON with line breaks": json.dumps(WANTED, indent=1),
    "a class index of Keras": json.dumps(
        {i: [f"n{i:08}", name] for i, name in reversed(list(enumerate(WANTED)))}
    ),
    "a class index": json.dumps(dict(enumerate(WANTED))),
    "names to numbers": json.dumps({name: i for i, name in reversed(list(enumerate(WANTED)))}),
    "a configuration of transformers": json.dumps({"id2label": dict(enumerate(WANTED)), "x": 1}),
    "a configuration of timm": json.dumps({"architecture": "vit", "label_names": WANTED}),
    "categories of COCO": json.dumps({"categories": [{"id": 4, "name": n} for n in WANTED]}),
    "ids of WordNet to names": json.dumps({f"n{i:08}": name for i, name in enumerate(WANTED)}),
    "pairs": json.dumps([[f"n{i:08}", name] for i, name in enumerate(WANTED)]),
    "a dictionary of Python's": repr(dict(enumerate(WANTED))),
    "a list of Python's": repr(list(WANTED)),
    "characters nobody sees": "\u200bfox\u00ad\n\u2060\nguitar, acoustic\u200e\nsea lion\u3164",
}  # fmt: skip


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_a_form_that_is_certain_is_read(text):
    assert names_in(text) == LabelSet.parse(text).names == WANTED


FILES = {
    "names.csv": "name\nfox\nguitar\n",
    "bare.csv": "fox\nguitar\n",
    "index.csv": "0,fox\n1,guitar\n",
    "ids.tsv": "n02119789\tfox\nn02676566\tguitar\n",
    "unnamed.csv": ",name\n0,fox\n1,guitar\n",
    "labels.JSON": '["fox", "guitar"]',
}


@pytest.mark.parametrize(("name", "text"), FILES.items(), ids=FILES)
def test_the_end_of_a_files_name_tells_its_kind(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert LabelSet.load(tmp_path / name).names == ("fox", "guitar")


PLAIN = (
    "tench, Tinca tinca\ngoldfish, Carassius auratus",  # commas are no table
    "fox\n3,5 mm jack",
    "name\nfox",  # one word is no table's first line
    "names:\nfox",
    "1 dog\n2 dogs\n3 dogs",
    "12 pounder\n1:10 model\ncar",
    "[MASK]\nfox",
    '"fox" kit\nbee',
    "fox: the animal\nbee: the insect",
    "class, order\nfamily",
    "- fox\nbee",
    "<b>fox</b>\n<3",
)


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_only_text_stays_text(text):
    assert names_in(text) == tuple(text.splitlines())


REFUSED = {
    "name,label\nfox,a\nbee,b": "the columns 'name', 'label'",
    "id,name": "the first line of a table",
    "n02119789 fox\nguitar": "before some of the names",
    "n02119789\nn02676566": "ids of WordNet without their names",
    '["n02119789", "n02676566"]': "ids of WordNet without their names",
    "1: fox\n0: bee": "not in the order of the numbers",
    "5: fox\n9: bee": "the numbers '5', '9'",
    "<ul>\n<li>fox</li>\n</ul>": "HTML",
    "<!DOCTYPE html>\nfox": "HTML",
    '{"0": "fox", "2": "bee"}': "the numbers '0', '2'",
    '{"fox": 0, "bee": 0}': "an object with 'fox', 'bee'",
    '{"fox": 0, "bee": 5}': "the numbers '0', '5'",
    '{"a": "fox", "b": "bee"}': "an object with 'a', 'b'",
    '{"01": "fox", "1": "bee"}': "the numbers",
    "{'fox': 0, b'bee': 1}": "an object with 'fox'",
    "{0: b'fox', 1: b'bee'}": "must hold a JSON list",
    "[fox, bee]": "not JSON",
    "{1, 2}": "must hold a JSON list",
    "['fox', 7]": "must hold a JSON list",
    '[["fox", "bee"], ["owl", "cat"]]': "must hold a JSON list",
    '[{"id": 1}, {"id": 2}]': "must hold a JSON list",
    "[" * 5000 + "]" * 5000: "not JSON",
    f'{{"{"9" * 5000}": "fox"}}': "an object with",
    f"[1{'0' * 5000}]": "",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_certain_is_refused_with_what_it_looks_like(text):
    with pytest.raises(ValueError) as refused:
        LabelSet.parse(text)
    assert REFUSED[text] in str(refused.value) and len(str(refused.value)) < 300


TABLES = {
    "uneven": ("tench, Tinca tinca\ngoldfish", "different numbers of cells"),
    "several": ("fox,red\nbee,yellow\n", "the columns 'fox', 'red'"),
    "open quote": ('name\n"fox\nbee\n', "cannot be read"),
}


@pytest.mark.parametrize(("text", "said"), TABLES.values(), ids=TABLES)
def test_a_table_that_cannot_be_told_is_refused_with_the_files_name(text, said, tmp_path):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(ValueError, match=r"^table\.csv: ") as refused:
        LabelSet.load(tmp_path / "table.csv")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "name", ["\u200b", "\u2060\u200d", "\u00ad", "\u3164", "\u2800", "\ufe0f", "\u0301", "\u200e"]
)
def test_characters_that_nobody_can_see_are_no_label(name):
    with pytest.raises(ValueError, match="has no text"):
        LabelSet(("fox", name))


@pytest.mark.parametrize(
    "name", ["❤️", "🏴\U000e0067\U000e007f", "👩\u200d🚀", "می\u200cخواهم", "é"]
)
def test_what_is_seen_keeps_every_character(name):
    assert LabelSet.parse(f"fox\n {name} ").names == ("fox", name)


def test_numbers_that_may_be_none_of_the_label_are_told():
    for text in ("0 fox\n1 bee", "1 fox\n2 bee\n3 owl"):
        labels = LabelSet.parse(text)
        assert labels.names == tuple(text.splitlines())
        (said,) = labels.doubts
        assert said.startswith("the numbers are read as part of the labels: ")
    assert not LabelSet.parse("1 fox\n3 bees").doubts and not LabelSet.parse("fox\nbee").doubts
