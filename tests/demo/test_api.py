"""The endpoints, called as a program would, through gradio_client."""

import json

import numpy as np
import pytest
from gradio.media import get_image
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from demo.server.shipped import examples, label_sets
from setar_core.backbones import load_backbone
from setar_core.lowrank import dropped
from setar_core.recipe import Site
from setar_core.spectra.profiles import all_sites

RECIPE = json.dumps({"ratios": {"visual.0.up": 0.4}})


@pytest.fixture(scope="module")
def client(served):
    return Client(served, verbose=False)


def files(count=3):
    return [handle_file(path) for path in examples()[:count]]


def test_the_endpoints_are_documented_and_alone(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    names = ("verdict", "scores", "spectrum", "negatives", "recipes", "label_sets")
    assert set(endpoints) == {f"/{name}" for name in names}
    assert all(endpoint["description"] for endpoint in endpoints.values())
    taken = {p["parameter_name"]: p for p in endpoints["/verdict"]["parameters"]}
    images = taken.pop("images")
    assert images["python_type"]["type"] == "list[filepath]"
    assert not images["parameter_has_default"]
    assert {name: p["parameter_default"] for name, p in taken.items()} == {
        "labels": "animals", "prompt": "a photo of a {}", "backbone": "emoji", "recipe": "none",
        "score": "mcm", "temperature": 1, "local_weight": 1, "threshold": "",
        "negative_words": "", "shaping": "", "detector": "",
    }  # fmt: skip


def test_scores_are_those_of_the_verdicts(client):
    verdicts = client.predict(files(2), recipe="emoji-searched", api_name="/verdict")["images"]
    scores = client.predict(files(2), recipe="emoji-searched", api_name="/scores")
    assert scores["problems"] == []
    assert scores["images"] == [
        {
            "image": image["image"],
            "original": image["original"]["scores"],
            "altered": image["altered"]["scores"],
        }
        for image in verdicts
    ]


def test_negatives_are_those_that_the_command_writes(client):
    answer = client.predict(api_name="/negatives")
    assert answer["method"] == "neglabel" and answer["backbone"] == "emoji"
    far = [entry["distance"] for entry in answer["negatives"]]
    assert len(far) > 100 and far == sorted(far)
    assert not {entry["word"] for entry in answer["negatives"]} & set(answer["labels"])
    with pytest.raises(AppError, match="method is 'mcm'; use csp or neglabel"):
        client.predict(method="mcm", api_name="/negatives")


def test_a_score_that_learns_judges_by_what_it_did_not_learn_from(client):
    answer = client.predict(files(2), score="knn", api_name="/verdict")
    assert answer["thresholds"]["original"]["images"] == 80
    judged = client.predict(files(2), score="neglabel", api_name="/verdict")["images"][0]
    assert judged["original"]["nearest"][0].keys() == {"name", "share", "negative"}


def test_a_spectrum_is_the_matrix_own(client):
    answer = client.predict(matrix="visual.5.up", api_name="/spectrum")
    (matrix,) = answer["matrices"].values()
    values = np.array(matrix["singular_values"])
    weight = load_backbone("emoji").weight(Site.parse("visual.5.up"))
    assert np.allclose(values, np.linalg.svd(weight.double().numpy(), compute_uv=False), rtol=1e-4)
    assert matrix["shape"] == list(weight.shape) and matrix["rank"] == len(values)
    lost = np.square(values[-dropped(len(values), 0.3) :]).sum() / np.square(values).sum()
    assert matrix["energy"]["0.3"] == pytest.approx(lost)
    every = client.predict(api_name="/spectrum")["matrices"]
    assert every["visual.5.up"] == {k: v for k, v in matrix.items() if k != "singular_values"}
    assert set(every) == {str(site) for site in all_sites(load_backbone("emoji"))}


def test_a_matrix_that_is_not_there_is_refused(client):
    for matrix in ("visual.99.up", "everything"):
        with pytest.raises(AppError, match=matrix):
            client.predict(matrix=matrix, api_name="/spectrum")


def test_a_shipped_recipe_can_be_sent_back(client):
    (name, recipe), *_ = client.predict(api_name="/recipes").items()
    by_name, by_text = (
        client.predict(files(1), recipe=asked, threshold=0, api_name="/verdict")
        for asked in (name, json.dumps(recipe))
    )
    assert by_name == by_text
    assert client.predict(backbone="timm:none", api_name="/recipes") == {}


def test_the_label_sets_are_those_shipped(client):
    assert client.predict(api_name="/label_sets") == label_sets()


def test_images_alone_are_judged_on_the_shipped_set(client):
    answer = client.predict(files(), api_name="/verdict")
    assert [image["image"] for image in answer["images"]] == [p.name for p in examples()[:3]]
    for image in answer["images"]:
        said = ("in-distribution", "out-of-distribution", "close call")
        assert image["original"]["verdict"] in said
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


def test_a_threshold_from_few_pictures_is_told(client):
    answer = client.predict(files(1), labels="fox\nowl", api_name="/verdict")
    (warning,) = answer["warnings"]
    assert answer["thresholds"]["original"]["images"] == 10
    assert warning.startswith("only 10 calibration images")


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


def test_doubtful_labels_are_told_and_usual_answers_stay(client):
    for endpoint in ("/verdict", "/scores"):
        answer = client.predict(files(1), labels="Fox\nfox\nowl\nowl", api_name=endpoint)
        twice, alike = answer["warnings"]
        assert twice.endswith("probability: owl") and alike.endswith("probability: 'Fox' = 'fox'")
        assert "warnings" not in client.predict(files(1), api_name=endpoint)


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
        ({"recipe": '{"ratios": {"visual.0.up": NaN}}'}, "NaN is no number"),
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


def test_photographs_are_not_judged_in_silence(client):
    photographs = [handle_file(get_image(name)) for name in ("lion.jpg", "tower.jpg")]
    answer = client.predict(photographs, api_name="/verdict")
    assert any("look like photographs" in warning for warning in answer["warnings"])
