"""Checkpoints as training leaves them: read, or refused by the name of the tensor or setting."""

import json
import shutil

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from setar_core.__main__ import main
from setar_core.backbones import BackboneError, load_backbone


@pytest.fixture
def clip(golden, tmp_path):
    """Saves the golden CLIP with other tensors or settings; gives its name."""

    def saved(change=lambda tensors: tensors, **settings):
        tensors = change(load_file(golden / "clip" / "open_clip_model.safetensors"))
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(tensors, tmp_path / "open_clip_model.safetensors")
        page = json.loads((golden / "clip" / "open_clip_config.json").read_text())
        page["preprocess_cfg"] |= settings
        (tmp_path / "open_clip_config.json").write_text(json.dumps(page))
        return f"local-dir:{tmp_path}"

    return saved


@pytest.fixture
def vit(tmp_path):
    """Saves a small ViT of timm's with other tensors or settings; gives its name."""
    args = {"img_size": 32, "depth": 1, "embed_dim": 12}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=5, **args)

    def saved(change=lambda tensors: tensors, **settings):
        save_file(change(model.state_dict()), tmp_path / "model.safetensors")
        page = {"architecture": "vit_tiny_patch16_224", "num_classes": 5, "model_args": args,
                "pretrained_cfg": {"input_size": [3, 32, 32], "num_classes": 5}}  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps(page | settings))
        return f"timm:local-dir:{tmp_path}"

    return saved


def put(**tensors):
    return lambda old: old | {name: torch.as_tensor(value) for name, value in tensors.items()}


def named(change):
    return lambda old: {change(name): tensor for name, tensor in old.items()}


@pytest.mark.parametrize("value", [100.0, 89.0, 15.0, -15.0, -200.0, 1e38])
def test_a_scale_out_of_range_is_refused_by_its_name(value, clip):
    with pytest.raises(BackboneError, match=r"its logit_scale is .*save the logarithm"):
        load_backbone(clip(put(logit_scale=value)))


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_a_scale_that_is_no_number_is_refused_by_its_name(value, clip):
    with pytest.raises(BackboneError, match=r"NaN or infinite values \(in logit_scale\)"):
        load_backbone(clip(put(logit_scale=value)))


def test_a_scale_of_another_shape_is_read(clip):
    assert load_backbone(clip(put(logit_scale=[2.0]))).scale == pytest.approx(7.389, abs=1e-3)


def test_a_refused_scale_takes_one_line_and_no_image(clip, tmp_path, capsys):
    name = clip(put(logit_scale=100.0))
    (tmp_path / "a.png").write_text("never read")
    given = ["verdict", str(tmp_path / "a.png"), "--backbone", name, "--labels", "animals"]
    assert main([*given, "--threshold", "0", "--json"]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and "logit_scale is 100," in told.err and not told.out


@pytest.mark.parametrize(
    "part",
    ["visual.transformer.resblocks.1.mlp.c_fc.weight", "transformer.resblocks.0.mlp.c_proj.bias"],
)
def test_weights_that_overflow_are_refused_by_the_largest(part, clip):
    name = clip(lambda old: old | {part: torch.full(old[part].shape, 1e30)})
    with pytest.raises(BackboneError, match=rf"float32; its largest weight, 1e\+30, is in {part}"):
        load_backbone(name)


@pytest.mark.parametrize(
    "wrapped",
    [lambda n: f"module.{n}", lambda n: f"_orig_mod.{n}", lambda n: f"module._orig_mod.{n}",
     lambda n: n.replace("visual.", "visual._orig_mod."),
     lambda n: n.replace("resblocks.0.", "resblocks.0._checkpoint_wrapped_module.")],
    ids=["parallel", "compiled", "both", "a compiled tower", "checkpointed blocks"],
)  # fmt: skip
def test_what_training_wraps_around_a_clip_is_taken_off(wrapped, clip, golden):
    found = load_backbone(clip(named(wrapped)))
    assert found.fingerprint == load_backbone(f"local-dir:{golden / 'clip'}").fingerprint


def test_what_training_wraps_around_a_vit_is_taken_off(vit):
    plain = load_backbone(vit()).fingerprint
    assert load_backbone(vit(named(lambda n: f"module._orig_mod.{n}"))).fingerprint == plain


def test_two_tensors_of_one_name_are_refused(clip):
    twice = clip(lambda old: old | {"module.logit_scale": torch.tensor(2.0)})
    with pytest.raises(BackboneError, match="with and without module"):
        load_backbone(twice)


def without(part):
    return lambda old: {name: tensor for name, tensor in old.items() if name != part}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put(ema_decay=[0.0]), r'Unexpected key\(s\) in state_dict: "ema_decay"\)'),
        (without("ln_final.bias"), r'Missing key\(s\) in state_dict: "ln_final\.bias"\)'),
        (without("positional_embedding"), "positional_embedding"),
        (without("visual.proj"), r"visual\.proj"),
        (put(text_projection=torch.zeros(3, 3)), r"size mismatch for text_projection.*3, 3"),
        (named(lambda n: f"student.{n}"), "Missing.*; Unexpected.*student"),
    ],
)
def test_tensors_that_do_not_fit_a_clip_are_named(change, said, clip):
    with pytest.raises(BackboneError, match=said) as refused:
        load_backbone(clip(change))
    assert len(str(refused.value)) < 900 and ":)" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put(ema_decay=[0.0]), "Unexpected.*ema_decay"),
        (without("norm.bias"), r"Missing.*norm\.bias"),
        (without("head.weight"), r"head\.weight"),
        (without("pos_embed"), "pos_embed"),
    ],
)
def test_tensors_that_do_not_fit_a_vit_are_named(change, said, vit):
    with pytest.raises(BackboneError, match=said):
        load_backbone(vit(change))


def test_an_error_without_words_is_told_by_its_line(golden, tmp_path):
    page = json.loads((golden / "clip" / "open_clip_config.json").read_text())
    page["model_cfg"]["text_cfg"]["heads"] = 3  # which do not divide the width
    (tmp_path / "open_clip_config.json").write_text(json.dumps(page))
    shutil.copy(golden / "clip" / "open_clip_model.safetensors", tmp_path)
    with pytest.raises(BackboneError, match=r"\(AssertionError: \S.*\)"):
        load_backbone(f"local-dir:{tmp_path}")


@pytest.mark.parametrize("settings", [{"size": 48}, {"size": [48, 48]}, {"size": [3, 48, 48]},
                                      {"mode": "RGB"}, {"mean": 0.5}])  # fmt: skip
def test_preprocessing_that_fits_is_taken_in_any_form(settings, clip):
    load_backbone(clip(**settings))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 64}, "makes pictures of 64, its image tower takes"),
        ({"size": [3, 48, 64]}, "makes pictures of"),
        ({"mode": "L"}, "makes L pictures"),
        ({"mean": [122.77, 116.75, 104.09]}, "mean and std are of values from 0 to 1"),
        ({"mean": [122.77, 116.75, 104.09], "std": [68.5, 66.6, 70.3]}, "mean and std are"),
        ({"std": [0.2, 0.2, 1e-9]}, "mean and std are"),
        ({"std": [0.2, 0.2, -0.2]}, "mean and std are"),
        ({"std": [0.0, 0.0, 0.0]}, "save"),
        ({"mean": [0.5, 0.5]}, "save"),
        ({"mean": [float("nan")] * 3}, "mean and std are"),
    ],
)
def test_preprocessing_that_does_not_fit_is_refused(settings, said, clip):
    with pytest.raises(BackboneError, match=said) as refused:
        load_backbone(clip(**settings))
    assert "nan" not in str(refused.value)


def test_preprocessing_of_timm_is_checked_too(vit):
    cfg = {"input_size": [3, 32, 32], "num_classes": 5, "mean": [123.0] * 3, "std": [58.0] * 3}
    with pytest.raises(BackboneError, match="mean and std are of values from 0 to 1"):
        load_backbone(vit(pretrained_cfg=cfg))


NAMES = ["fox", "bee", "owl", "cat", "dog"]
SYNSETS = [f"n0211978{i}" for i in range(5)]


@pytest.mark.parametrize(
    "settings",
    [
        {"label_names": NAMES},
        {"label_names": {str(i): name for i, name in enumerate(NAMES)}},
        {"label_names": {name: i for i, name in enumerate(NAMES)}},
        {"label_names": SYNSETS, "label_descriptions": dict(zip(SYNSETS, NAMES, strict=True))},
    ],
)
def test_class_names_are_read_in_any_form(settings, vit):
    assert load_backbone(vit(**settings)).class_names == tuple(NAMES)


@pytest.mark.parametrize(
    ("names", "said"),
    [(["a", "b"], "its label_names are 2, its head has 5 classes"), ([*NAMES, "x"], "are 6"),
     (dict.fromkeys(NAMES, 0), "looks like an object"), (list(range(5)), "list of labels")],
)  # fmt: skip
def test_class_names_that_do_not_fit_the_head_are_refused(names, said, vit):
    with pytest.raises(BackboneError, match=said):
        load_backbone(vit(label_names=names))
