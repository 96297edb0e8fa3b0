"""The families of backbones: from a name to a network with its weights, size and preprocessing."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from PIL import Image

from ..data.strict import short
from ..labels import LabelSet
from ..labels.reading import names_of
from ..paths import BACKBONES
from .base import Backbone, BackboneError
from .checkpoints import (
    CLIP_CONFIG,
    CLIP_WEIGHTS,
    CONCEPTS,
    WORDS,
    fetch,
    read_config,
    read_layers,
    safe_weights,
    shape_in,
    unwrapped,
)
from .linear.thin import make_thin
from .progress import Progress

TIMM_WEIGHTS = ("model.safetensors",)
# What is tried before a visitor's pictures.
BLACK, WHITE = (Image.new("RGB", (8, 8), (shade,) * 3) for shade in (0, 255))
SPREADS = (0.2, 100)  # of black and white after preprocessing; with usual deviations 1 to 5


def emoji(name: str, progress: Progress | None, limit: int | None) -> Backbone:
    """The embedded CLIP; it knows only the words it was trained on."""
    return _clip_folder(name, BACKBONES / "emoji")


def clip_folder(name: str, progress: Progress | None, limit: int | None) -> Backbone:
    return _clip_folder(name, Path(name.removeprefix("local-dir:")).expanduser())


def clip_hub(name: str, progress: Progress | None, limit: int | None) -> Backbone:
    repo = name.removeprefix("hf-hub:")
    config = fetch(repo, [CLIP_CONFIG], progress, limit)
    _refuse(name, read_config(config, {"model_cfg": dict})["model_cfg"])
    fetch(repo, CLIP_WEIGHTS, progress, limit)
    return _clip_folder(name, config.parent)


def clip_tag(name: str, progress: Progress | None, limit: int | None) -> Backbone:
    """`MODEL/TAG`; quick-GELU where the tag was trained with it."""
    import open_clip

    model_name, _, tag = name.rpartition("/")
    known = open_clip.get_pretrained_cfg(model_name, tag)
    if not known:
        raise unknown(name)
    config = open_clip.get_model_config(model_name)
    _refuse(name, config)
    repo, _, file = known.get("hf_hub", "").rpartition("/")
    if not repo:
        raise BackboneError(
            f"{name} is not offered as safetensors; use another tag of {model_name}"
        )
    weights = fetch(
        repo, [file] if file.endswith(".safetensors") else CLIP_WEIGHTS, progress, limit
    )
    config["quick_gelu"] = config.get("quick_gelu", False) or known.get("quick_gelu", False)
    return _clip(name, config, known, weights)


def timm_folder(name: str, progress: Progress | None, limit: int | None) -> Backbone:
    return _timm_folder(name, Path(name.removeprefix("timm:local-dir:")).expanduser())


def timm_hub(name: str, progress: Progress | None, limit: int | None) -> Backbone:
    repo = name.removeprefix("timm:hf-hub:")
    config = fetch(repo, ["config.json"], progress, limit)
    fetch(repo, TIMM_WEIGHTS, progress, limit)
    return _timm_folder(name, config.parent)


def timm_tag(name: str, progress: Progress | None, limit: int | None) -> Backbone:
    """`timm:NAME`; the architecture is checked before its weights are fetched."""
    import timm

    from .resnet import classifier_of

    model_name = name.removeprefix("timm:")
    if not timm.is_model(model_name.split(".")[0]) or not timm.is_model_pretrained(model_name):
        raise unknown(name)
    with torch.device("meta"):  # its shape alone: a refused one may have 27 GB
        model: Any = timm.create_model(model_name, pretrained=False)
    classifier_of(name, model)
    repo = model.pretrained_cfg.get("hf_hub_id")
    if not repo:
        raise BackboneError(f"{name} is not offered on the hub; use another of timm's")
    weights = fetch(repo, TIMM_WEIGHTS, progress, limit)
    # Some were published as .npz, read by a function of their own; on the hub all are safetensors.
    with unwrapped(weights) as file:
        overlay = {"file": str(file), "custom_load": False}
        return _timm(name, model_name, file, pretrained_cfg_overlay=overlay)


def known_names() -> list[str]:
    """Every name that needs no path: emoji, open_clip's ViTs, timm's ViTs, SwinV2s, ResNets."""
    import open_clip
    import timm

    names = [f"{model}/{tag}" for model, tag in open_clip.list_pretrained()]
    patterns = ["swinv2_*", "vit_*", "deit_*", "resnet[1-9]*", "resnext*", "wide_resnet*"]
    return ["emoji", *names, *(f"timm:{n}" for n in timm.list_models(patterns, pretrained=True))]


def unknown(name: str) -> BackboneError:
    """The error for a name that means nothing, with the names nearest to it."""
    import difflib

    near = difflib.get_close_matches(name, known_names(), n=4, cutoff=0.4)
    hint = f"; near it: {', '.join(near)}" if near else ""
    return BackboneError(
        f"unknown backbone {name[:80]!r}{hint}. Use emoji, MODEL/TAG (ViT-B-16/openai), timm:NAME, "
        "local-dir:PATH or timm:local-dir:PATH"
    )


Family = Callable[[str, Progress | None, int | None], Backbone]
FAMILIES: dict[str, Family] = {
    "local-dir:": clip_folder,
    "hf-hub:": clip_hub,
    "timm:local-dir:": timm_folder,
    "timm:hf-hub:": timm_hub,
    "timm:": timm_tag,
}


def _clip_folder(name: str, folder: Path) -> Backbone:
    page = read_config(folder / CLIP_CONFIG, {"model_cfg": dict})
    _refuse(name, page["model_cfg"])
    weights = safe_weights(folder, CLIP_WEIGHTS)
    preprocessing = page.get("preprocess_cfg") or {}
    if not isinstance(preprocessing, dict):
        raise BackboneError(f"{name}: its preprocess_cfg is no table of settings; save it again")
    layers = read_layers(folder)
    backbone = _clip(name, page["model_cfg"], preprocessing, weights, layers)
    words = folder / WORDS
    if words.is_file():
        backbone.vocabulary = frozenset(words.read_text(encoding="utf-8").split())
    concepts = folder / CONCEPTS
    if concepts.is_file():
        backbone.concepts = tuple(concepts.read_text(encoding="utf-8").splitlines())
    return backbone


def _clip(
    name: str,
    config: dict[str, Any],
    preprocessing: dict[str, Any],
    weights: Path,
    layers: Mapping[str, Any] = MappingProxyType({}),
) -> Backbone:
    """A CLIP of open_clip's `model_cfg`, with the weights and the preprocessing that go with it;
    `layers` are in two."""
    import open_clip

    from .clip import ClipBackbone

    parts = dict(config)
    build = open_clip.CustomTextCLIP if parts.pop("custom_text", False) else open_clip.CLIP
    wanted = ("mean", "std", "interpolation", "resize_mode", "fill_color")
    kept = {key: preprocessing[key] for key in wanted if key in preprocessing}
    with _fitting(name, "open_clip"), unwrapped(weights) as file:
        model = build(**parts)
        make_thin(model, layers)
        open_clip.load_checkpoint(model, str(file))
        preprocess = open_clip.image_transform(model.visual.image_size, is_train=False, **kept)
        _check_preprocessing(preprocess)
        size, mode = preprocessing.get("size"), preprocessing.get("mode", "RGB")
        if size is not None and _pair(size) != _pair(model.visual.image_size):
            raise ValueError(
                f"its preprocess_cfg makes pictures of {size}, its image tower takes "
                f"{model.visual.image_size}"
            )
        if mode != "RGB":
            raise ValueError(f"its preprocess_cfg makes {mode} pictures, its image tower takes RGB")
        tokenizer = open_clip.SimpleTokenizer(
            context_length=model.context_length, **config["text_cfg"].get("tokenizer_kwargs", {})
        )
        if model.vocab_size < tokenizer.vocab_size:
            raise ValueError(
                f"its text tower has {model.vocab_size} tokens, CLIP's tokenizer "
                f"{tokenizer.vocab_size}"
            )
    page = {"model_cfg": config, "preprocess_cfg": kept}
    return ClipBackbone(name, model, preprocess, tokenizer, page)


def _timm_folder(name: str, folder: Path) -> Backbone:
    import timm

    config = read_config(folder / "config.json", {"architecture": str})
    if not timm.is_model(config["architecture"]):
        raise BackboneError(f"{name}: timm has no architecture {short(config['architecture'])}")
    with unwrapped(safe_weights(folder, TIMM_WEIGHTS)) as file:
        if file.parent != folder:
            shutil.copy(folder / "config.json", file.parent)
        return _timm(name, f"local-dir:{file.parent}", file, read_layers(folder))


def _timm(
    name: str,
    source: str,
    weights: Path,
    layers: Mapping[str, Any] = MappingProxyType({}),
    **overlay: Any,
) -> Backbone:
    """timm's model of that name or folder, with its weights and its own preprocessing; `layers` are
    in two."""
    import timm
    from safetensors.torch import load_file
    from timm.data.config import resolve_model_data_config
    from timm.data.transforms_factory import create_transform

    from .resnet import classifier_of

    with _fitting(name, "timm"):
        model: Any = timm.create_model(source, pretrained=not layers, **overlay)
        if layers:
            make_thin(model, layers)
            model.load_state_dict(load_file(weights))
        preprocess = create_transform(**resolve_model_data_config(model), is_training=False)
        _check_preprocessing(preprocess)
        names = _class_names(model.pretrained_cfg, model.num_classes)
        backbone = classifier_of(name, model)(name, model, preprocess, names)
        head = f"{model.pretrained_cfg.get('classifier')}.weight"
        found, wanted = shape_in(weights, head), tuple(backbone.head.weight.shape)
        if found not in (None, wanted):  # timm leaves out one of another size without a word
            raise ValueError(f"the head in the weights is {found}, the model's is {wanted}")
        _, local, (h, w), *_ = backbone.features(preprocess(BLACK)[None])
        if local.shape[1] != h * w:
            raise ValueError(f"{local.shape[1]} patches do not fill a grid of {h} x {w}")
    return backbone


def _check_preprocessing(preprocess: Any) -> None:
    """Raises ValueError where black and white pictures do not come out as a network takes them."""
    black, white = (preprocess(picture).mean(dim=(1, 2)) for picture in (BLACK, WHITE))
    low, high = SPREADS
    spread = white - black
    if len(black) != 3:
        raise ValueError(f"its preprocessing makes pictures of {len(black)} channels, not of 3")
    if not bool((spread >= low).all() and (spread <= high).all() and (black.abs() <= high).all()):
        raise ValueError(
            f"its preprocessing turns black into {_shades(black)} and white into "
            f"{_shades(white)}; mean and std are of values from 0 to 1"
        )


def _shades(values: torch.Tensor) -> str:
    return ", ".join(f"{value:.4g}" for value in values.nan_to_num().tolist())


def _pair(size: Any) -> tuple[Any, ...]:
    """Height and width, of a side, of both, or of channels and both."""
    sides = tuple(size) if isinstance(size, (list, tuple)) else (size,)
    return sides[-2:] if len(sides) > 1 else sides * 2


def _class_names(config: dict[str, Any], count: int) -> tuple[str, ...] | None:
    """The classes by index; what timm's configuration calls them, in words where it has them.

    Raises:
        ValueError: they are not as many as the head's, or no names.
    """
    named, described = config.get("label_names"), config.get("label_descriptions")
    if not named:
        return LabelSet.load("imagenet1k").names if count == 1000 else None
    names = names_of(named)
    if len(names) != count:
        raise ValueError(f"its label_names are {len(names)}, its head has {count} classes")
    if isinstance(described, dict) and all(isinstance(described.get(n), str) for n in names):
        names = [described[name] for name in names]
    return tuple(names)


@contextmanager
def _fitting(name: str, library: str) -> Iterator[None]:
    """What a library raises for a configuration or weights that do not fit, as a BackboneError."""
    try:
        yield
    except BackboneError:
        raise
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError, AssertionError,
            ArithmeticError) as error:  # fmt: skip
        raise BackboneError(
            f"{name}: the configuration or the weights do not fit {library} ({_reason(error)}); "
            "save both with the same version"
        ) from None


def _reason(error: Exception) -> str:
    """What a library's error says, or where it says nothing the line that raised it."""
    kind = type(error).__name__
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):  # torch lists the tensors below
        lines = lines[1:]
    if not lines:
        lines = [f"at {traceback.extract_tb(error.__traceback__)[-1].line}"]
    elif isinstance(error, KeyError):
        lines = [f"there is no {lines[0]}"]
    shown = [line if len(line) <= 160 else f"{line[:157]}..." for line in lines[:3]]
    return f"{kind}: {'; '.join(shown).rstrip('. ')}"


def _refuse(name: str, config: dict[str, Any]) -> None:
    """Raises BackboneError for a configuration that is no ViT CLIP, before a weight is fetched."""
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    reason = None
    if not isinstance(vision, dict) or not isinstance(text, dict):
        reason = "its vision_cfg or its text_cfg is no table of settings"
    elif "multimodal_cfg" in config:
        reason = "it is a captioner (CoCa)"
    elif vision.get("timm_model_name"):
        reason = f"its image tower is timm's {vision['timm_model_name']}, not a plain ViT"
    elif not isinstance(vision.get("layers", 12), int):
        reason = "its image tower is a ResNet"
    elif min(vision.get("layers", 12), text.get("layers", 12)) < 1:
        reason = "one of its towers has no block"
    elif text.get("embed_cls"):
        reason = "its text tower is pooled at a token of its own"
    elif text.get("hf_model_name") or text.get("hf_tokenizer_name"):
        reason = "its text tower or tokenizer is not CLIP's"
    elif "init_logit_bias" in config:
        reason = "it was trained with a sigmoid loss (SigLIP)"
    if reason:
        raise BackboneError(
            f"{name} is not supported: {reason}. Use a CLIP with a ViT such as ViT-B-16/openai, "
            "ViT-L-14/openai or ViT-B-32/laion2b_s34b_b79k"
        )
