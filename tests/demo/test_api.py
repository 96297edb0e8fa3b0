"""The endpoint `/verdict`, called as a program would, through gradio_client."""

import json

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from demo.server.library import examples

RECIPE = json.dumps({"ratios": {"visual.0.up": 0.4}})


@pytest.fixture(scope="module")
def client(served):
    return Client(served, verbose=False)


def files(count=3):
    return [handle_file(path) for path in examples()[:count]]


def test_the_endpoint_is_documented_and_alone(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert list(endpoints) == ["/verdict"]
    names = [parameter["parameter_name"] for parameter in endpoints["/verdict"]["parameters"]]
    assert names == [
        "images", "labels", "prompt", "backbone", "recipe", "score", "temperature",
        "local_weight", "threshold",
    ]  # fmt: skip


def test_images_alone_are_judged_on_the_shipped_set(client):
    answer = client.predict(files(), api_name="/verdict")
    assert [image["image"] for image in answer["images"]] == [p.name for p in examples()[:3]]
    for image in answer["images"]:
        assert image["original"]["verdict"] in ("in-distribution", "out-of-distribution")
        assert image["original"]["scores"]["mcm"] == image["original"]["score"]
    assert answer["thresholds"]["original"]["recall"] == 0.95
    assert answer["settings"]["labels"][0] == "dog"


def test_every_setting_is_taken(client):
    answer = client.predict(
        files(1),
        labels="cat\ndog\nfox",
        prompt="a drawing of a {}",
        backbone="emoji",
        recipe=RECIPE,
        score="gl_mcm",
        temperature=0.5,
        local_weight=0.5,
        threshold=0.1,
        api_name="/verdict",
    )
    (image,) = answer["images"]
    assert image["altered"]["threshold"] == image["original"]["threshold"] == 0.1
    assert image["altered"]["score"] != image["original"]["score"]
    assert len(image["original"]["top"]) == 3
    assert answer["settings"]["prompt"] == "a drawing of a {}"


def test_labels_without_shipped_pictures_stay_open(client):
    answer = client.predict(files(1), labels="crate\nbarrel", api_name="/verdict")
    assert answer["images"][0]["original"]["verdict"] == "no threshold yet"
    assert answer["thresholds"] == {}


def test_a_bad_file_is_reported_and_the_others_are_judged(client, tmp_path):
    text = tmp_path / "notes.jpg"
    text.write_text("no picture")
    answer = client.predict([handle_file(text), *files(1)], api_name="/verdict")
    assert len(answer["images"]) == 1
    assert "notes.jpg" in answer["problems"][0]


def test_a_file_of_any_name_spoils_no_batch(client, tmp_path):
    strangers = [tmp_path / name for name in ("notes.txt", "bare", "phone.heic")]
    for stranger in strangers:
        stranger.write_text("no picture")
    right = tmp_path / "picture without extension"
    right.write_bytes(examples()[0].read_bytes())
    answer = client.predict(
        [*map(handle_file, [*strangers, right]), *files(1)], api_name="/verdict"
    )
    assert [image["image"] for image in answer["images"]] == [right.name, examples()[0].name]
    assert [p.split(":")[0] for p in answer["problems"]] == [s.name for s in strangers]


def test_unknown_words_of_labels_and_prompt_are_marked(client):
    answer = client.predict(
        files(1), labels="fox\nquark", prompt="a zeppelin of a {}", api_name="/verdict"
    )
    assert answer["unknown_words"] == ["zeppelin", "quark"]
    assert client.predict(files(1), api_name="/verdict")["unknown_words"] == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"labels": None}, "label set is empty"),
        ({"prompt": None}, "prompt"),
        ({"temperature": None}, "temperature is empty"),
        ({"local_weight": None}, "local weight is empty"),
        ({"backbone": None}, "cannot be opened"),
        ({"backbone": "local-dir:/etc"}, "cannot be opened from here"),
        ({"backbone": "hf-hub:someone/model"}, "cannot be opened from here"),
        ({"backbone": "timm:local-dir:/etc"}, "cannot be opened from here"),
        ({"recipe": "/etc/passwd"}, "no recipe"),
        ({"recipe": '{"ratios": {"visual.0.up": NaN}}'}, "nan"),
        ({"labels": "cat"}, "only label"),
        ({"labels": "/etc/passwd"}, "only label"),
        ({"score": "best"}, "best"),
        ({"temperature": 0}, "temperature"),
        ({"threshold": "high"}, "threshold"),
        ({"threshold": "nan"}, "threshold"),
    ],
)
def test_what_it_refuses_it_explains(client, asked, said):
    with pytest.raises(AppError, match=said):
        client.predict(files(1), **asked, api_name="/verdict")


def test_no_image_is_an_error(client):
    with pytest.raises(AppError, match="no image"):
        client.predict([], api_name="/verdict")
