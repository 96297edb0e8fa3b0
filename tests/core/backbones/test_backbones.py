"""Backbones: local features by their definition, recipes that share and never mix, and refusals."""

import copy
import json
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import open_clip
import pytest
import safetensors.torch
import timm
import torch
from torch.nn import functional as F

from setar_core.backbones import BackboneError, is_private, load_backbone
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe, Site

LABELS = LabelSet(("zebra", "a rather long label, with a comma", "fox", "sea lion"))
PICTURES = torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def swin(golden):
    return load_backbone(f"timm:local-dir:{golden / 'swin'}")


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A plain ViT with registers, layer scale and q/k norms, random, through a folder of timm's."""
    folder = tmp_path_factory.mktemp("vit")
    args = {"img_size": 48, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 2,
            "reg_tokens": 2, "init_values": 0.5, "qk_norm": True}  # fmt: skip
    model = timm.create_model("vit_tiny_patch16_224", num_classes=5, **args)
    safetensors.torch.save_file(model.state_dict(), folder / "model.safetensors")
    config = {"architecture": "vit_tiny_patch16_224", "num_classes": 5, "model_args": args,
              "pretrained_cfg": {"input_size": [3, 48, 48], "num_classes": 5}}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return load_backbone(f"timm:local-dir:{folder}")


def test_whole_features_are_open_clips_own(clip):
    features = clip.features(PICTURES)
    expected = clip.model.encode_image(PICTURES, normalize=True)
    torch.testing.assert_close(features.whole, expected, atol=1e-5, rtol=0)


def test_local_features_of_clip_are_their_definition(clip):
    visual = clip.model.visual
    x = visual._embeds(PICTURES)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    last = visual.transformer.resblocks[-1]
    width = last.attn.embed_dim
    h = F.linear(last.ln_1(x), last.attn.in_proj_weight[-width:], last.attn.in_proj_bias[-width:])
    v = x + last.attn.out_proj(h)
    v = v + last.mlp(last.ln_2(v))
    local = F.normalize(visual.ln_post(v)[:, 1:] @ visual.proj, dim=-1)
    torch.testing.assert_close(clip.features(PICTURES).local, local, atol=1e-5, rtol=0)


def test_a_vit_gives_the_models_logits_and_local_features_by_definition(vit):
    labels = LabelSet(tuple("abcde"))
    features = vit.features(PICTURES)
    logits = vit.logits(features, vit.classifier(labels))
    torch.testing.assert_close(logits.whole, vit.model(PICTURES), atol=1e-5, rtol=0)
    model = vit.model
    x = model.norm_pre(model._pos_embed(model.patch_embed(PICTURES)))
    for block in model.blocks[:-1]:
        x = block(x)
    last = model.blocks[-1]
    h = last.attn.qkv(last.norm1(x)).chunk(3, dim=-1)[2]
    v = x + last.ls1(last.attn.proj(h))
    v = v + last.ls2(last.mlp(last.norm2(v)))
    local = model.head(model.norm(v)[:, model.num_prefix_tokens :])
    torch.testing.assert_close(logits.local, local, atol=1e-5, rtol=0)
    assert features.local.shape[1] == 36


def test_parts_of_a_clip_are_what_its_class_token_takes(clip):
    visual = clip.model.visual
    x = visual._embeds(PICTURES)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    last = visual.transformer.resblocks[-1]
    attn, whole, x = last.attn, last(x)[:, 0], last.ln_1(x)
    _, shares = attn(x, x, x, average_attn_weights=False)  # (B, n, L, L)
    size = attn.head_dim
    values = F.linear(x, attn.in_proj_weight, attn.in_proj_bias)[..., 2 * attn.embed_dim :]
    taken = sum(
        shares[:, n, 0, 1:, None] * (values[:, 1:, head] @ attn.out_proj.weight[:, head].T)
        for n in range(attn.num_heads)
        for head in [slice(n * size, (n + 1) * size)]
    )
    norm = visual.ln_post
    away = (taken - taken.mean(-1, keepdim=True)) * norm.weight
    before = norm(whole) @ visual.proj
    made = away / (whole.var(-1, correction=0) + norm.eps).sqrt()[:, None, None] @ visual.proj
    expected = made / before.norm(dim=-1)[:, None, None]
    parts = clip.features(PICTURES, parts=True).parts
    torch.testing.assert_close(parts, expected, atol=1e-6, rtol=1e-4)


def test_parts_of_a_vit_are_what_its_class_token_takes(vit):
    """Their sum, with what the token takes of itself and of registers, is the attention's own."""
    model, seen = vit.model, {}
    last = model.blocks[-1]
    hook = last.norm1.register_forward_hook(lambda _, given, out: seen.update(x=given[0], y=out))
    whole = vit.features(PICTURES).whole
    hook.remove()
    tower, first = vit.tower("visual"), model.num_prefix_tokens
    state = tower.feed(2, tower.attend(2, seen["x"]))
    parts = tower.parts(seen["x"], state)
    every = copy.copy(tower)
    every.model = SimpleNamespace(norm=model.norm, num_prefix_tokens=0)
    together = every.parts(seen["x"], state).sum(dim=1)
    went = last.ls1(last.attn(seen["y"])[:, 0] - last.attn.proj.bias)
    size = (state[:, 0].var(-1, correction=0) + model.norm.eps).sqrt()[:, None]
    expected = (went - went.mean(-1, keepdim=True)) / size * model.norm.weight
    torch.testing.assert_close(together, expected, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(every.parts(seen["x"], state)[:, first:], parts)
    assert torch.equal(vit.features(PICTURES, parts=True).whole, whole)


def test_parts_of_averaged_patches_are_their_shares_of_the_mean(swin):
    features = swin.features(torch.randn(2, 3, 64, 64), parts=True)
    torch.testing.assert_close(features.parts.sum(dim=1), features.whole)
    labels = LabelSet(tuple(f"class {i}" for i in range(swin.num_classes)))
    head = swin.classifier(labels)
    logits = swin.logits(features, head)
    support = swin.support(features, logits, head).sum(dim=1)
    without = logits.whole - head.bias
    expected = without.gather(1, logits.whole.argmax(1, keepdim=True))[:, 0] - without.mean(1)
    torch.testing.assert_close(support, expected, atol=1e-5, rtol=1e-4)


def test_prompts_cut_short_and_sharing_a_prefix_are_open_clips_own(clip):
    sets = (
        LABELS,
        LabelSet(("same", "same")),
        LabelSet(("zebra", "zebra crossing"), prompt="{}"),
        LabelSet(("fox " * 49, "bee"), prompt="{} in the snow"),  # longer than the context
    )
    for labels in sets:
        tokens = open_clip.tokenize(list(labels.prompts))
        expected = clip.model.encode_text(tokens, normalize=True)
        torch.testing.assert_close(
            clip.classifier(labels).weight, expected, atol=1e-5, rtol=0, msg=str(labels)
        )


@pytest.mark.parametrize("family", ["clip", "swin", "vit"])
def test_a_recipe_shares_every_untouched_tensor(family, request):
    backbone = request.getfixturevalue(family)
    before = {name: t.clone() for name, t in backbone.model.state_dict().items()}
    site = next(iter(backbone.sites("v")))
    other = backbone.with_recipe(Recipe({site: 0.3}))
    mine, theirs = backbone.model.state_dict(), other.model.state_dict()
    apart = [name for name in mine if mine[name].data_ptr() != theirs[name].data_ptr()]
    assert len(apart) == 1
    changed = (mine[apart[0]] != theirs[apart[0]]).any(dim=1)
    assert changed.sum() == backbone.weight(site).shape[0]  # only the rows of v
    assert all(torch.equal(before[name], mine[name]) for name in before)
    assert torch.equal(other.weight(site), backbone.dropped_from(site, 0.3))


def test_a_recipe_starts_from_the_original_weights(clip):
    first = Recipe({Site("visual", 3, "up"): 0.4})
    second = Recipe({Site("text", 1, "down"): 0.2})
    direct, detour = clip.with_recipe(second), clip.with_recipe(first).with_recipe(second)
    for name, tensor in direct.model.state_dict().items():
        assert torch.equal(tensor, detour.model.state_dict()[name]), name
    nothing = clip.with_recipe(first).with_recipe(Recipe({}))
    assert (
        nothing.weight(Site("visual", 3, "up")).data_ptr()
        == clip.weight(Site("visual", 3, "up")).data_ptr()
    )


def test_two_recipes_in_eight_threads_give_the_sequential_results(clip):
    changed = clip.with_recipe(
        Recipe(
            {Site("visual", 2, "up"): 0.4, Site("visual", 3, "q"): 0.3, Site("text", 0, "k"): 0.2}
        )
    )

    def run(i):
        backbone = (clip, changed)[i % 2]
        return backbone.features(PICTURES).whole, backbone.classifier(LABELS).weight

    expected = [run(0), run(1)]
    assert not torch.equal(expected[0][0], expected[1][0])
    with ThreadPoolExecutor(8) as pool:
        for i, found in enumerate(pool.map(run, range(64))):
            for mine, theirs in zip(expected[i % 2], found, strict=True):
                assert torch.equal(mine, theirs)


def test_sites_run_from_the_top_down(clip, swin):
    assert [str(site) for site in clip.sites()][:2] == ["visual.3.up", "visual.2.up"]
    assert [str(site) for site in clip.sites()][-1] == "text.0.up"
    assert [str(site) for site in swin.sites("q")][::5] == ["visual.2-1.q", "visual.0-0.q"]


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [(Recipe({Site("visual", 9, "up"): 0.1}), "blocks 0 to 3"),
     (Recipe({Site("visual", (0, 1), "up"): 0.1}), "blocks 0 to 3"),
     (Recipe({}, backbone="ViT-B-16/openai"), "is for 'ViT-B-16/openai'"),
     (Recipe({Site("visual", 0, "up"): 0.995}), "all 64 components")],
)  # fmt: skip
def test_a_recipe_that_does_not_fit_is_refused(clip, recipe, reason):
    with pytest.raises(ValueError, match=reason):
        clip.with_recipe(recipe)


def test_a_text_site_is_refused_where_there_is_no_text_tower(swin):
    with pytest.raises(ValueError, match="no text tower"):
        swin.with_recipe(Recipe({Site("text", 0, "up"): 0.1}))


def test_a_head_takes_one_label_a_class(swin):
    with pytest.raises(ValueError, match="24 classes"):
        swin.classifier(LABELS)


def test_templates_make_one_vector_a_label(clip):
    templates = ("a photo of a {}", "a drawing of the {}, large", "{}")
    names = ("fox", "a long winding road")
    made = clip.classifier(LabelSet(names, "\n".join(templates))).weight
    each = torch.stack([clip.classifier(LabelSet(names, text)).weight for text in templates])
    expected = torch.nn.functional.normalize(each.mean(dim=0), dim=-1)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-6)


def test_features_of_blocks_end_in_those_of_the_image(clip):
    features = clip.features(PICTURES, layers=True)
    assert features.layers.shape == (3, clip.tower("visual").depth, features.whole.shape[-1])
    assert torch.equal(features.layers[:, -1], features.whole)
    plain = clip.features(PICTURES)
    assert plain.layers is None and torch.equal(plain.whole, features.whole)
    torch.testing.assert_close(clip.placed(plain.raw), plain.whole, rtol=0, atol=1e-6)


def test_blocks_without_a_token_for_the_image_are_refused(swin):
    with pytest.raises(ValueError, match="no token that stands for the whole image"):
        swin.features(torch.zeros(1, 3, 64, 64), layers=True)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("RN50/openai", "ResNet"), ("convnext_base/laion400m_s13b_b51k", "convnext_base"),
     ("ViT-B-16-SigLIP/webli", "not a plain ViT"), ("coca_ViT-B-32/laion2b_s13b_b90k", "CoCa"),
     ("xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k", "text tower"),
     ("ViT-B-16/opnai", "near it: ViT-B-16/openai"), ("emojy", "near it: emoji"),
     ("timm:resnetv2_50.a1h_in1k", "a ResNetV2 is neither"),
     ("timm:deit_tny", "near it: timm:deit_tiny"),
     ("timm:vit_base_patch16_siglip_224.webli", "no classification head"),
     ("local-dir:no/such", "no such folder"), ("timm:local-dir:no/such", "no such folder")],
)  # fmt: skip
def test_what_is_not_supported_is_refused_with_the_reason(name, reason):
    with pytest.raises(BackboneError, match=reason):
        load_backbone(name)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cuda:x", "cpu:", ""])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(BackboneError, match="device"):
        load_backbone("emoji", device)


def test_a_pickle_is_never_opened(golden, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    shutil.copy(golden / "clip" / "open_clip_config.json", tmp_path)
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BackboneError, match=r"open_clip_pytorch_model\.bin may run code"):
        load_backbone(f"local-dir:{tmp_path}")
    (tmp_path / "open_clip_model.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BackboneError, match="not a safetensors file"):
        load_backbone(f"local-dir:{tmp_path}")


def test_weights_that_do_not_fit_their_configuration_are_refused(golden, tmp_path):
    config = json.loads((golden / "clip" / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] = 44
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    shutil.copy(golden / "clip" / "open_clip_model.safetensors", tmp_path)
    with pytest.raises(BackboneError, match="do not fit"):
        load_backbone(f"local-dir:{tmp_path}")


def test_a_hub_that_is_away_is_told_with_what_works_offline(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    said = []
    for name in ("ViT-B-16/openai", "timm:deit_tiny_patch16_224.fb_in1k", "hf-hub:some/where"):
        with pytest.raises(BackboneError, match=r"could not be reached.*[Oo]ffline: emoji"):
            load_backbone(name, progress=said.append)
    assert not said  # the error is the one line


class Hub:
    """A hub with one file of the given size, whose connection is lost in the middle of it."""

    def __init__(self, monkeypatch, folder, size):
        import huggingface_hub

        from setar_core.backbones import checkpoints

        self.size, self.fetched = size, 0
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
        monkeypatch.setattr(checkpoints, "_knock", lambda: None)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self)

    def __call__(self, repo, name, dry_run=False):
        if dry_run:
            return SimpleNamespace(file_size=self.size)
        self.fetched += 1
        from huggingface_hub.errors import HTTPError

        raise HTTPError("peer closed the connection")


def test_a_connection_that_is_lost_on_the_way_is_told(monkeypatch, tmp_path):
    Hub(monkeypatch, tmp_path, 599e6)
    said = []
    with pytest.raises(BackboneError, match=r"could not be reached for timm/vit_base.*offline"):
        load_backbone("ViT-B-16/openai", progress=said.append)
    assert "599 MB" in said[0]


def test_a_file_above_the_limit_is_not_fetched(monkeypatch, tmp_path):
    hub = Hub(monkeypatch, tmp_path, 3.9e9)
    for name in ("ViT-B-16/openai", "timm:deit_tiny_patch16_224.fb_in1k"):
        with pytest.raises(BackboneError, match=r"3\.9 GB, and at most 2\.0 GB.*--backbone"):
            load_backbone(name, limit=2 * 10**9)
    assert hub.fetched == 0
    with pytest.raises(BackboneError, match="could not be reached"):
        load_backbone("ViT-B-16/openai")
    assert hub.fetched == 1


def test_the_check_of_an_architecture_takes_no_memory(monkeypatch):
    """A name may stand for tens of gigabytes; it is refused by its shape alone."""
    create, devices = timm.create_model, []

    def watched(*args, **more):
        model = create(*args, **more)
        devices.append(next(model.parameters()).device.type)
        return model

    monkeypatch.setattr(timm, "create_model", watched)
    with pytest.raises(BackboneError, match="not supported"):
        load_backbone("timm:eva02_tiny_patch14_224.mim_in22k")
    assert devices == ["meta"]


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224.augreg_in21k_ft_in1k", "swinv2_tiny_window8_256.ms_in1k"]
)
def test_a_timm_name_loads_its_safetensors(monkeypatch, tmp_path, name):
    """The path of `timm:NAME` with random weights; augreg's are declared as .npz files."""
    original = timm.create_model(name.split(".")[0])
    safetensors.torch.save_file(original.state_dict(), tmp_path / "model.safetensors")
    from setar_core.backbones import loading

    monkeypatch.setattr(loading, "fetch", lambda *_: tmp_path / "model.safetensors")
    backbone = load_backbone(f"timm:{name}")
    assert torch.equal(backbone.tower("visual").head.weight, original.get_classifier().weight)
    assert len(backbone.class_names) == 1000


TIMM = {
    "architecture": "vit_tiny_patch16_224",
    "num_classes": 5,
    "model_args": {"img_size": 32, "depth": 1, "embed_dim": 12},
    "pretrained_cfg": {"input_size": [3, 32, 32], "num_classes": 5},
}


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": 7},
        {"num_classes": 6},
        {"num_classes": "many"},
        {"model_args": {"depth": 2}},
        {"model_args": {"depht": 2}},
        {"model_args": TIMM["model_args"] | {"num_classes": 4}},  # timm would draw a head
        {"model_args": TIMM["model_args"] | {"in_chans": 1}},
        {"model_args": TIMM["model_args"] | {"img_size": 48, "dynamic_img_size": True}},
        {"pretrained_cfg": {"input_size": [3, 48, 48], "fixed_input_size": False}},
        {"model_args": [2]},
        {"pretrained_cfg": [2]},
        {"pretrained_cfg": {"input_size": "wide"}},
        {"pretrained_cfg": {"input_size": [3, 32, 32], "interpolation": "magic"}},
        {"pretrained_cfg": {"input_size": [3, 32, 32], "mean": "grey"}},
        {"pretrained_cfg": {"input_size": [3, 32, 32], "label_names": 5}},
    ],
    ids=str,
)
def test_a_timm_folder_whose_parts_do_not_fit_is_refused(tmp_path, change):
    model = timm.create_model(TIMM["architecture"], num_classes=5, **TIMM["model_args"])
    safetensors.torch.save_file(model.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TIMM))
    load_backbone(f"timm:local-dir:{tmp_path}")
    (tmp_path / "config.json").write_text(json.dumps(TIMM | change))
    with pytest.raises(BackboneError, match="save"):
        load_backbone(f"timm:local-dir:{tmp_path}")


@pytest.mark.parametrize(
    "change",
    [
        {"model_cfg": 3},
        {"model_cfg": {"vision_cfg": 3}},
        {"model_cfg": {"text_cfg": None}},
        {"model_cfg": {"embed_dim": "wide"}},
        {"text_cfg": {"embed_cls": True}},
        {"text_cfg": {"layers": 0}},
        {"vision_cfg": {"layers": 0}},
        {"model_cfg": {"vision_cfg": {"image_size": 48, "patch_size": 0}}},
        {"preprocess_cfg": [3]},
        {"preprocess_cfg": {"mean": "grey"}},
        {"preprocess_cfg": {"interpolation": "magic"}},
    ],
    ids=str,
)
def test_a_clip_folder_whose_parts_do_not_fit_is_refused(golden, tmp_path, change):
    config = json.loads((golden / "clip" / "open_clip_config.json").read_text())
    for key, value in change.items():
        page = config["model_cfg"] if key in config["model_cfg"] else config
        page[key] = page.get(key, {}) | value if isinstance(value, dict) else value
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    shutil.copy(golden / "clip" / "open_clip_model.safetensors", tmp_path)
    with pytest.raises(BackboneError, match=r"save|not supported"):
        load_backbone(f"local-dir:{tmp_path}")


def saved_clip(golden, folder, text, weights=None):
    """A folder with the golden CLIP's image tower and another text tower, random."""
    config = json.loads((golden / "clip" / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= text
    torch.manual_seed(0)
    model = open_clip.CLIP(**config["model_cfg"])
    folder.mkdir(exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    safetensors.torch.save_file(
        model.state_dict() | (weights or {}), folder / "open_clip_model.safetensors"
    )
    return f"local-dir:{folder}"


def test_a_text_tower_that_lacks_tokens_is_refused(golden, tmp_path):
    with pytest.raises(BackboneError, match="has 400 tokens"):
        load_backbone(saved_clip(golden, tmp_path, {"vocab_size": 400}))


def test_a_text_tower_without_projection_has_no_such_site(golden, tmp_path, clip):
    width = clip.model.visual.output_dim
    same = {"proj_type": "none", "width": width, "heads": 1}
    backbone = load_backbone(saved_clip(golden, tmp_path / "a", same))
    backbone.with_recipe(Recipe({Site("text", 0, "up"): 0.3, Site("visual", None, "proj"): 0.3}))
    with pytest.raises(ValueError, match=r"text\.proj"):
        backbone.with_recipe(Recipe({Site("text", None, "proj"): 0.3}))
    with pytest.raises(BackboneError, match="dimensions"):
        load_backbone(saved_clip(golden, tmp_path / "b", same | {"width": 2 * width}))


def test_weights_that_are_no_numbers_are_refused(golden, tmp_path):
    broken = {"ln_final.bias": torch.full((32,), torch.nan)}
    name = saved_clip(golden, tmp_path, {"width": 32, "heads": 1}, broken)
    with pytest.raises(BackboneError, match=r"NaN or infinite values \(in ln_final\.bias\)"):
        load_backbone(name)


def test_openai_tags_get_quick_gelu_and_others_do_not(monkeypatch, tmp_path):
    """The real path of `MODEL/TAG`, with random weights in place of the hub's."""
    from setar_core.backbones import loading

    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(open_clip.create_model("ViT-B-32").state_dict(), path)
    monkeypatch.setattr(loading, "fetch", lambda repo, names, progress=None, limit=None: path)
    for name, activation in (
        ("ViT-B-32/openai", "QuickGELU"),
        ("ViT-B-32/laion2b_s34b_b79k", "GELU"),
        ("ViT-B-32-quickgelu/openai", "QuickGELU"),
    ):
        backbone = load_backbone(name)
        kinds = {type(block.mlp.gelu).__name__ for block in backbone.tower("visual").blocks}
        kinds |= {type(block.mlp.gelu).__name__ for block in backbone.tower("text").blocks}
        assert kinds == {activation}
        assert backbone.scale == pytest.approx(1 / 0.07, rel=1e-5)


def test_names_of_folders_and_hub_repositories_are_private():
    private = ("local-dir:x", "timm:local-dir:x", "hf-hub:a/b", "timm:hf-hub:a/b")
    assert all(is_private(name) for name in private)
    assert not any(is_private(name) for name in ("emoji", "ViT-B-16/openai", "timm:deit_tiny"))
