"""From a model's name to its files: safetensors only, found, sized and checked before loading.

A pickle runs code when it is opened, so no file but safetensors is ever handed to a library.
"""

from __future__ import annotations

import json
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..data.strict import said
from .base import BackboneError
from .progress import Progress

CLIP_CONFIG = "open_clip_config.json"
CLIP_WEIGHTS = ("open_clip_model.safetensors", "model.safetensors")
WORDS, CONCEPTS = "words.txt", "concepts.txt"  # of a text tower that knows few
LAYERS = "factorised.json"  # where some are in two
MAX_CONFIG_BYTES = 1_000_000
# What training puts before names: parallel copies, torch.compile, sharding.
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
OFFLINE = "Works offline: emoji, local-dir:PATH and timm:local-dir:PATH"


def read_config(path: Path, keys: Mapping[str, type]) -> dict[str, Any]:
    """A model folder's JSON with the keys that its library needs, each of the given type.

    Raises:
        BackboneError: no such file, not JSON, or a key is missing or of another type.
    """
    if not path.parent.is_dir():
        raise BackboneError(
            f"{path.parent}: no such folder; give the folder that holds {path.name}"
        )
    if not path.is_file():
        raise BackboneError(f"{path.parent} holds no {path.name}; save the model with it")
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise BackboneError(f"{path} has {path.stat().st_size} bytes; that is no configuration")
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BackboneError(f"{path} is not JSON ({error})") from None
    missing = [key for key in keys if not isinstance(page, dict) or key not in page]
    if missing:
        raise BackboneError(f"{path} lacks {', '.join(missing)}; save the model with its library")
    for key, kind in keys.items():
        if not isinstance(page[key], kind):
            raise BackboneError(
                f"{path}: {key} is a {type(page[key]).__name__}, not a {kind.__name__}; save the "
                "model with its library"
            )
    return page


def read_layers(folder: Path) -> dict[str, Any]:
    """The ranks of a model folder's layers that are in two, see `thin`; none where all are whole.

    Raises:
        BackboneError: the page cannot be read.
    """
    path = folder / LAYERS
    layers: dict[str, Any] = read_config(path, {"layers": dict})["layers"] if path.exists() else {}
    return layers


def safe_weights(folder: Path, names: Sequence[str]) -> Path:
    """The first of the named safetensors files in a folder, with a header that reads.

    Raises:
        BackboneError: none is there (pickles are named and refused), or it is not safetensors.
    """
    for name in names:
        if (folder / name).is_file():
            check_safetensors(folder / name)
            return folder / name
    others = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".npz"))
    found = f"; {', '.join(others)} may run code and is not read" if others else ""
    raise BackboneError(
        f"{folder} holds no {' or '.join(names)}{found}. Convert the weights with "
        "safetensors.torch.save_file"
    )


def check_safetensors(path: Path) -> None:
    """Raises BackboneError unless the file has a safetensors header and at least one tensor."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            if file.keys():
                return
            reason = "it holds no tensor"
    except (SafetensorError, OSError) as error:
        reason = said(error)
    raise BackboneError(
        f"{path} is not a safetensors file ({reason}); a renamed pickle is refused. "
        "Save the weights with safetensors.torch.save_file"
    )


@contextmanager
def unwrapped(path: Path) -> Iterator[Path]:
    """The file, or a passing copy whose tensors have lost the names of what wrapped the network.

    Raises:
        BackboneError: two tensors would have one name.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(path, framework="pt") as file:
        names = {name: _unwrapped(name) for name in file.keys()}  # noqa: SIM118
    if all(name == bare for name, bare in names.items()):
        yield path
        return
    if len(set(names.values())) < len(names):
        raise BackboneError(f"{path} holds some tensors with and without module. or _orig_mod.")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        save_file({names[name]: tensor for name, tensor in load_file(path).items()}, copy)
        yield copy


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def shape_in(path: Path, tensor: str) -> tuple[int, ...] | None:
    """The shape of a tensor in a safetensors file, from its header; None where it is not there."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return tuple(file.get_slice(tensor).get_shape()) if tensor in set(file.keys()) else None


def fetch(
    repo: str,
    names: Sequence[str],
    progress: Progress | None = None,
    limit: int | None = None,
) -> Path:
    """The first of the named files of a hub repository, from the cache or the network.

    The size is told before the first byte is fetched, and nothing before the hub has answered.

    Args:
        limit: bytes; a larger file is refused, None refuses none.

    Raises:
        BackboneError: the hub cannot be reached or is lost on the way, it has no such repository
            or file, or the file is above the limit.
    """
    from huggingface_hub import errors, hf_hub_download, try_to_load_from_cache

    # What its client raises when it is away or lost; the last two come from its fast downloads.
    lost = [getattr(errors, name, OSError) for name in ("HTTPError", "XetDownloadError")]
    away = (OSError, RuntimeError, *lost)
    for name in names:
        cached = try_to_load_from_cache(repo, name)
        if isinstance(cached, str):
            _check_size(f"{repo}/{name}", Path(cached).stat().st_size, limit)
            return Path(cached)
    try:
        _knock()
        for name in names:
            try:
                size = hf_hub_download(repo, name, dry_run=True).file_size or 0
            except errors.LocalEntryNotFoundError:  # the hub is away; an EntryNotFoundError too
                raise
            except errors.EntryNotFoundError:
                continue
            _check_size(f"{repo}/{name}", size, limit)
            if progress:
                progress(f"fetching {repo}/{name}: {size / 1e6:,.0f} MB")
            return Path(hf_hub_download(repo, name))
    except errors.RepositoryNotFoundError:
        raise BackboneError(f"the hub has no repository {repo!r}; check its spelling") from None
    except away as error:
        raise BackboneError(
            f"the model hub could not be reached for {repo} ({type(error).__name__}); tried "
            f"{', '.join(names)}, in the cache and on the network. {OFFLINE}"
        ) from None
    raise BackboneError(
        f"{repo} offers no {' or '.join(names)}; only safetensors are read, since a pickle may "
        f"run code. {OFFLINE}"
    )


def _check_size(file: str, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise BackboneError(
            f"{file} has {size / 1e9:.1f} GB, and at most {limit / 1e9:.1f} GB are fetched from "
            "here; take a smaller model, or name this one when the app is started "
            "(python app.py --backbone NAME)"
        )


def _knock() -> None:
    """Raises OSError at once where the hub is away; its client would retry for half a minute."""
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    if not HF_HUB_OFFLINE:
        try:
            urllib.request.urlopen(urllib.request.Request(ENDPOINT, method="HEAD"), timeout=10)
        except urllib.error.HTTPError:  # it answered
            return
