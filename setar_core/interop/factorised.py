"""A backbone whose low-rank matrices are two thin ones each, for plain PyTorch with its library.

The folder is loaded here as any (`local-dir:FOLDER`), and elsewhere by the `factorised.py` in it.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from ..backbones.checkpoints import LAYERS
from ..backbones.linear.thin import CALLED, Thin, saves, thin_layers
from ..lowrank import spectrum

if TYPE_CHECKING:
    from ..backbones.base import Backbone
    from ..recipe import Site

IMAGES = 16  # of the forward that is timed
PAIRS = 11
TOLERANCE = 1e-5  # of a feature, relative to the largest
LOADER = Path(__file__).with_name("factorised.txt")
README = """# {name} with {change}, factorised

{told}

```python
from factorised import load
from PIL import Image

{opened}
```

`factorised.py` needs PyTorch, safetensors and {library}; `{layers}` has the layers and their ranks.
The weights are those of {name} (fingerprint {weights}) without what the recipe drops; all else is
as it was, its licence too.
"""
OPEN_CLIP = """model, preprocess, tokenizer = load()
image = preprocess(Image.open("photo.jpg"))[None]            # (1, 3, H, W)
print(model.encode_image(image, normalize=True)[0, :3])"""
TIMM = """model, preprocess = load()
image = preprocess(Image.open("photo.jpg"))[None]            # (1, 3, H, W)
print(model(image)[0, :3])"""


class Measured(NamedTuple):
    """A factorised network beside the merged one.

    Attributes:
        thin: the sites that are two matrices.
        whole: those of the recipe that are not, with the reason.
        parameters: of the network, merged and factorised.
        time: of an image forward, in those of the merged one; a median of pairs.
        difference: the largest of a feature, relative to the largest feature.
    """

    thin: tuple[Site, ...]
    whole: dict[Site, str]
    parameters: tuple[int, int]
    time: float
    difference: float

    def __str__(self) -> str:
        merged, factorised = self.parameters
        count = len(self.thin) + len(self.whole)
        return (
            f"{merged:,} parameters become {factorised:,} ({factorised / merged:.1%}); an image "
            f"forward takes {self.time:.3f} times as long (median of {PAIRS} pairs, {IMAGES} "
            f"images); features differ by {self.difference:.1g} of the largest at most\n"
            f"kept whole: {len(self.whole)} of {count}{_reasons(self.whole)}"
        )


def export_factorised(backbone: Backbone, folder: Path) -> Measured:
    """Write the files into a folder that is there.

    Raises:
        ValueError: no matrix of the recipe would be smaller in two, an adapter is on top, or the
            features would differ.
        OSError: the disk is full, or gone.
    """
    from safetensors.torch import save_file

    if backbone.recipe is None or backbone.adapter is not None:
        raise ValueError("only a recipe makes matrices low-rank; give one, and no adapter")
    other, thin, whole = factorised(backbone)
    if not thin:
        raise ValueError(
            f"nothing would be gained, kept whole: {len(whole)} of {len(whole)}{_reasons(whole)}; "
            "merge it (--to open_clip, --to timm), or take higher ratios"
        )
    pixels = torch.randn(IMAGES, *_size(backbone), generator=torch.Generator().manual_seed(0))
    found = Measured(thin, whole, (_count(backbone), _count(other)), *_compared(
        lambda: backbone.features(pixels).whole, lambda: other.features(pixels).whole
    ))  # fmt: skip
    if not found.difference <= TOLERANCE:
        raise ValueError(
            f"its features would differ by {found.difference:.2g} of the largest; merge the recipe"
        )
    backbone.save(folder)
    (weights,) = folder.glob("*.safetensors")
    state = other.model.state_dict()
    save_file({name: t.cpu().contiguous() for name, t in state.items()}, weights, {"format": "pt"})
    page = {
        "layers": thin_layers(other.model),
        "recipe": backbone.recipe.fingerprint,
        "parameters": {"merged": found.parameters[0], "factorised": found.parameters[1]},
        "time": round(found.time, 3),
        "difference": found.difference,
        "kept_whole": {str(site): reason for site, reason in whole.items()},
    }
    text = json.dumps(page, indent=1, allow_nan=False)
    (folder / LAYERS).write_text(text + "\n", encoding="utf-8")
    (folder / "factorised.py").write_text(LOADER.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "README.md").write_text(_card(backbone, found), encoding="utf-8")
    return found


def factorised(backbone: Backbone) -> tuple[Backbone, tuple[Site, ...], dict[Site, str]]:
    """The same network with two matrices in place of each that its recipe made small enough, at
    which sites that is, and why not at the others."""
    other, thin, whole = backbone.with_weights({}), [], {}
    named = {id(module): name for name, module in other.model.named_modules()}
    for site, ratio in backbone.recipe.ratios.items() if backbone.recipe else ():
        parts = backbone.spectrum(site)
        if not parts.dropped(ratio):
            continue
        layer, rank = other.slot(site).module, parts.kept(ratio)
        name, out, width = named[id(layer)], len(parts.u), parts.vh.shape[1]
        if type(layer) is not nn.Linear or not name.endswith(CALLED):
            whole[site] = "its matrix is read as a whole"
        elif not saves(out, width, rank):
            whole[site] = f"rank {rank} of {out} x {width} saves nothing"
        else:
            other.model.set_submodule(name, _halves(layer, rank))
            thin.append(site)
    return other, tuple(thin), whole


def _halves(layer: nn.Linear, rank: int) -> Thin:
    """U S and V^T of a layer's matrix, whose rank that is; it keeps its bias."""
    parts = spectrum(layer.weight)
    halves = Thin(layer, rank).requires_grad_(False)
    halves.first.weight.copy_(parts.vh[:rank])
    halves.second.weight.copy_(parts.u[:, :rank] * parts.s[:rank])
    halves.second.bias = layer.bias
    return halves


def _compared(merged: Callable[[], Tensor], thin: Callable[[], Tensor]) -> tuple[float, float]:
    """The median ratio of their times, in turns, and the largest difference of what they give."""
    first, second = merged(), thin()
    ratios = []
    for _ in range(PAIRS):
        began = time.perf_counter()
        merged().cpu()
        between = time.perf_counter()
        thin().cpu()
        ratios.append((time.perf_counter() - between) / (between - began))
    difference = float((first - second).abs().max() / first.abs().max())
    return statistics.median(ratios), difference


def _reasons(whole: Mapping[Site, str]) -> str:
    return f" ({'; '.join(f'{site}: {why}' for site, why in whole.items())})" if whole else ""


def _size(backbone: Backbone) -> tuple[int, ...]:
    from PIL import Image

    return tuple(backbone.preprocess(Image.new("RGB", (8, 8))).shape)


def _count(backbone: Backbone) -> int:
    return sum(parameter.numel() for parameter in backbone.model.parameters())


def _card(backbone: Backbone, found: Measured) -> str:
    assert backbone.recipe is not None
    return README.format(
        name=backbone.name,
        change=f"the SeTAR recipe {backbone.recipe.fingerprint[:8]}",
        told=str(found).replace("\n", "\n\n"),
        opened=OPEN_CLIP if backbone.has_text else TIMM,
        library="open_clip" if backbone.has_text else "timm",
        layers=LAYERS,
        weights=backbone.original.fingerprint,
    )
