"""A recipe reads and writes two forms, and refuses what is none."""

import json
import math

import pytest

from setar_core.recipe import Recipe, Site, shipped_recipes

SITES = ["visual.11.up", "text.0.q", "visual.2-17.up", "visual.proj", "text.proj"]


@pytest.mark.parametrize("text", SITES)
def test_a_site_prints_as_it_is_read(text):
    assert str(Site.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "visual", "visual.up", "visual.x.up", "visual.-1.up", "image.1.up", "text.1.W_up",
             "visual.1.2.up", "visual.1-2-3.up", "visual.3.proj", "visual.².up"]
)  # fmt: skip
def test_what_is_no_site_is_refused(text):
    with pytest.raises(ValueError, match=r"names no site|unknown|belongs to no block|whole number"):
        Site.parse(text)


def test_both_forms_carry_the_same_ratios(tmp_path):
    rows = [
        ["visual", "W_up", 11, 0.15],
        ["visual", "W_up", [2, 17], 0.2],
        ["text", "W_p", None, 0.1],
    ]
    theirs = Recipe.loads(json.dumps(rows), prune="principal")
    assert theirs.prune == "principal"
    assert theirs.authors() == rows
    theirs.save(tmp_path / "r.json")
    ours = Recipe.load(tmp_path / "r.json")
    assert ours == theirs
    assert ours.fingerprint == theirs.fingerprint


def test_the_fingerprint_is_of_what_is_dropped():
    site, other = Site("visual", 1, "up"), Site("visual", 0, "up")
    recipe = Recipe({site: 0.1})
    assert recipe.fingerprint == Recipe({site: 0.1, other: 0.0}, notes={"a": 1}).fingerprint
    assert recipe.fingerprint != Recipe({site: 0.2}).fingerprint
    assert recipe.fingerprint != Recipe({site: 0.1}, prune="principal").fingerprint
    assert Recipe({site: 0.0}).fingerprint == "original"
    assert not Recipe({site: 0.0})


@pytest.mark.parametrize("ratio", [math.nan, math.inf, -0.1, 1.0, 2, "0.1", None, True])
def test_a_ratio_that_is_none_is_refused_with_its_site(ratio):
    with pytest.raises(ValueError, match=r"visual\.1\.up"):
        Recipe({Site("visual", 1, "up"): ratio})


@pytest.mark.parametrize(
    "text",
    ["", "{", "1", "null", '{"ratios": 1}', '{"ratios": {"visual.1.up": NaN}}', "[[1, 2]]",
     '{"ratios": {}, "prune": "all"}', '{"ratios": {}, "backbone": 3}',
     '{"ratios": {}, "seed": -1}',
     '{"ratios": {"visual.1.up": 0.1, "visual.1.up": 0.2}}',
     '{"ratios": {"visual.1.up": 0.1, "visual.01.up": 0.1}}',
     '[["visual", "W_up", 1, 0.3], ["visual", "W_up", 1, 0.1]]',
     '{"ratios": {"visual.1.up": 1' + "0" * 400 + "}}",
     '[["visual", 1, 2, 0.1]]', '[["visual", "W_up", [1], 0.1]]', '[["visual", "W_up", 1.5, 0.1]]',
     "[" * 100_000],
)  # fmt: skip
def test_what_is_no_recipe_is_refused(text):
    with pytest.raises(ValueError):
        Recipe.loads(text)


def test_a_file_that_is_none_is_named(tmp_path):
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    for name in ("binary.json", "missing.json"):
        with pytest.raises(ValueError, match=name):
            Recipe.load(tmp_path / name)


def test_every_shipped_recipe_reads():
    assert shipped_recipes()
    for name in shipped_recipes():
        assert Recipe.load(name).backbone, name


CONFIG = {
    "model_name": "openai/clip-vit-base-patch16",
    "model_type": "CLIP",
    "clip_ckpt": None,
    "lora_svd_init": True,
    "lora_svd_init_type": "small",
    "lora_settings": [["visual", "W_up", 11, 0.15], ["text", "W_p", None, 0]],
}


def test_the_authors_configuration_says_what_is_dropped_and_where():
    recipe = Recipe.loads(json.dumps(CONFIG), prune="principal")  # it says so itself
    assert (recipe.backbone, recipe.prune) == ("ViT-B-16/openai", "minor")
    assert recipe.authors() == CONFIG["lora_settings"]
    assert Recipe.loads(json.dumps(CONFIG | {"lora_svd_init_type": "large"})).prune == "principal"
    swin = {"model_name": "microsoft/swinv2-base-patch4-window16-256"}
    swin["lora_settings"] = [["visual", "W_up", [2, 17], 0.4]]
    recipe = Recipe.loads(json.dumps(CONFIG | swin))
    assert recipe.backbone == "timm:swinv2_base_window16_256.ms_in1k"
    assert recipe.ratios == {Site("visual", (2, 17), "up"): 0.4}
    assert Recipe.loads(json.dumps(CONFIG | {"model_name": "mine"})).backbone is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"lora_settings": None}, "take config_best.json"), ({"lora_settings": []}, "no lora_sett"),
     ({"lora_svd_init": False}, "nothing is dropped"), ({"lora_svd_init": "no"}, "nothing is"),
     ({"clip_ckpt": "finetuned_model.pth"}, "a checkpoint of its own"),
     ({"locoop_ckpt": "prompts.pth"}, "a checkpoint of its own"),
     ({"lora_svd_init_type": "random"}, "search again"),
     ({"lora_svd_init_type": None}, "not small or large"),
     ({"lora_svd_init_type": ["small"]}, "not small or large"),
     ({"lora_settings": [["visual", "W_up", 11, 25]]}, "give a number of at least 0 and below 1"),
     ({"lora_settings": {"visual.11.up": 0.1}}, "no lora_settings")],
)  # fmt: skip
def test_a_configuration_without_a_recipe_is_refused_with_the_reason(change, reason):
    with pytest.raises(ValueError, match=reason):
        Recipe.loads(json.dumps(CONFIG | change))


def test_a_trace_of_the_authors_is_not_taken_for_a_recipe():
    row = {"tower": "visual", "weight": "W_up", "layer": 11, "ratio": 0.1, "locoop_loss": 2.5}
    with pytest.raises(ValueError, match="trace of a search"):
        Recipe.loads(json.dumps([row]))


def test_a_strength_scales_every_ratio():
    recipe = Recipe(
        {Site("visual", 1, "up"): 0.4, Site("text", 0, "up"): 0.1}, notes={"found": "x"}
    )
    half = recipe.scaled(0.5)
    assert half.ratios == {site: ratio / 2 for site, ratio in recipe.ratios.items()}
    assert half.notes == {"found": "x", "strength": 0.5} and half.fingerprint != recipe.fingerprint
    assert recipe.scaled(1) == recipe and not recipe.scaled(0)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="from 0 to 1"):
            recipe.scaled(wrong)
