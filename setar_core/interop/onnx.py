"""A detector for ONNX Runtime: pixels in, score, verdict and label out, checked before it is given.

    pip install "setar-explorer[onnx]"

The folder holds `model.onnx`, with the rows of labels and negatives and the threshold inside,
`preprocess.py` for numpy and Pillow, `labels.json`, and a README that says how they go together.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from ..backbones.base import Logits
from ..scores import MINED, SCORES
from ..scores.evidence import Evidence
from ..threshold import Threshold

if TYPE_CHECKING:
    from ..detector import Detector

BATCH = 64  # of the export; above it, no network multiplies in another order
TOLERANCE = 1e-5  # of a score, relative to the largest
PICTURES = ((37, 53), (300, 200), (64, 64))  # sizes of the pictures that are tried
PLAIN = ("ToTensor", "MaybeToTensor", "MaybeConvertMode")  # as the file does anyway
PREPROCESS = Path(__file__).with_name("preprocess.txt")
README = """# {title} of {backbone} for ONNX Runtime

```python
import json
import onnxruntime
from PIL import Image
from preprocess import preprocess

session = onnxruntime.InferenceSession("model.onnx")
labels = json.load(open("labels.json", encoding="utf-8"))
pixels = preprocess(Image.open("photo.jpg"))[None]           # (1, 3, H, W)
{outputs} = session.run(None, {{"pixels": pixels}})
print(labels[label[0]], score[0])
```

`score` is {title} ({source}): {question} Higher is more in-distribution.{threshold}
Backbone {backbone} (fingerprint {weights}), {change}; {count} labels.
"""


def export_onnx(detector: Detector, folder: Path) -> float:
    """Write the files into a folder that is there; the largest difference of a score from ours.

    Raises:
        ValueError: the packages are not there, its score was not fitted, a step of its
            preprocessing is none of numpy and Pillow, or ONNX Runtime computes something else.
        OSError: the disk is full, or gone.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # PyTorch's exporter asks for it later
    except ImportError as error:
        raise ValueError(
            f'{error.name} is not installed; pip install "setar-explorer[onnx]", or onnx, '
            "onnxscript and onnxruntime"
        ) from None
    if reason := detector.lacks(detector.score):
        raise ValueError(f"{SCORES[detector.score].title} {reason}")
    network, preprocess = _Network(detector), _preprocessing(detector.backbone.preprocess)
    pictures = [_picture(size) for size in PICTURES]
    pixels = torch.stack([detector.backbone.preprocess(picture) for picture in pictures])
    _check_preprocessing(preprocess, pictures, pixels)
    ours = detector.scores_of(pixels).cpu().numpy()  # before the export: what is drawn is constant
    model = folder / "model.onnx"
    _write(network, pixels, model)
    session = onnxruntime.InferenceSession(model)
    found = session.run(None, {"pixels": pixels.numpy()})
    difference = float(np.abs(found[0] - ours).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(ours).max())):
        raise ValueError(
            f"ONNX Runtime's scores differ by {difference:.2g} from ours; use another score"
        )
    (folder / "preprocess.py").write_text(preprocess, encoding="utf-8")
    names = json.dumps(detector.labels.names, ensure_ascii=False, indent=0, allow_nan=False)
    (folder / "labels.json").write_text(names + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_card(detector, network), encoding="utf-8")
    return difference


class _Network(nn.Module):
    """Pixels `(B, 3, H, W)` to scores `(B,)`, the best label's index `(B,)`, and whether the image
    is in-distribution `(B,)` where there is a threshold."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.model = detector.backbone.model  # whose parameters are to be found
        self.detector = detector
        line = detector.threshold
        self.line = line.value if isinstance(line, Threshold) else line

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("score", "label", *(() if self.line is None else ("in_distribution",)))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        detector = self.detector
        backbone, head, needs = detector.backbone, detector.classifier, SCORES[detector.score].needs
        features = backbone.run(pixels, "layers" in needs)
        whole = features.whole
        if detector.shaping:
            whole = backbone.placed(detector.shaping(features.raw))
        local = backbone.similar(features.local, head) if "patches" in needs else None
        logits = Logits(backbone.similar(whole, head), local, features.grid, backbone.scale)
        evidence = Evidence(
            logits,
            features.raw if "features" in needs else None,
            backbone.similar(features.layers, head) if features.layers is not None else None,
            {way: detector.negatives[way].cosines(features.whole) for way in sorted(needs & MINED)},
            head if "head" in needs else None,
        )
        score = detector.score_of(evidence)
        known = () if self.line is None else (score >= self.line,)
        return score, logits.whole.argmax(dim=-1), *known


def _write(network: _Network, pixels: Tensor, path: Path) -> None:
    """Export by PyTorch, whose report of each step is left out."""
    example = pixels[:1].expand(BATCH, -1, -1, -1).to(network.detector.backbone.device)
    device_free = torch.backends.mkldnn.flags(enabled=False)  # no operators of one processor
    quiet = io.StringIO()
    try:
        with device_free, _plain_distances(), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.disable(logging.WARNING)
            with contextlib.redirect_stdout(quiet):
                torch.onnx.export(
                    network,
                    (example,),
                    path,
                    dynamo=True,
                    verbose=False,
                    external_data=False,
                    input_names=["pixels"],
                    output_names=list(network.outputs),
                    dynamic_shapes=({0: torch.export.Dim("B", min=BATCH)},),
                )
    except torch.onnx.OnnxExporterError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        title = SCORES[network.detector.score].title
        raise ValueError(f"{title} cannot be written for ONNX ({reason})") from None
    finally:
        logging.disable(logging.NOTSET)


@contextlib.contextmanager
def _plain_distances() -> Iterator[None]:
    """ONNX has no operator for distances by differences, which `torch.cdist` may be asked for."""
    cdist = torch.cdist

    def plain(x: Tensor, y: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Tensor:
        if compute_mode is None:
            return cdist(x, y, p)
        return (x[..., :, None, :] - y[..., None, :, :]).norm(p, dim=-1)

    torch.cdist = plain  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.cdist = cdist


def _preprocessing(preprocess: Any) -> str:
    """The backbone's preprocessing as a file of numpy and Pillow.

    Raises:
        ValueError: a step that is none of theirs.
    """
    steps: list[tuple[str, Any]] = []
    mean = std = None
    for step in getattr(preprocess, "transforms", [preprocess]):
        kind = type(step).__name__
        if isinstance(step, transforms.Resize):
            method = Image.Resampling[str(step.interpolation.value).upper()]
            steps.append(("resize", (step.size, int(method))))
        elif isinstance(step, transforms.CenterCrop):
            steps.append(("crop", tuple(step.size)))
        elif isinstance(step, transforms.Normalize):
            mean, std = ([float(x) for x in values] for values in (step.mean, step.std))
        elif kind not in PLAIN and "rgb" not in getattr(step, "__name__", ""):
            raise ValueError(f"the preprocessing has a step {kind} that is not written for ONNX")
    if mean is None:
        raise ValueError("the preprocessing does not normalise, which is not written for ONNX")
    text = PREPROCESS.read_text(encoding="utf-8")
    return text.replace("STEPS = ()", f"STEPS = {tuple(steps)!r}").replace(
        "MEAN, STD = (), ()", f"MEAN, STD = {mean!r}, {std!r}"
    )


def _check_preprocessing(text: str, pictures: list[Image.Image], pixels: Tensor) -> None:
    """Raises ValueError where the file's pixels are not ours to the bit."""
    space: dict[str, Any] = {}
    exec(compile(text, "preprocess.py", "exec"), space)  # what was written above
    written: Callable[[Image.Image], np.ndarray] = space["preprocess"]
    for picture, ours in zip(pictures, pixels, strict=True):
        found = written(picture)
        if found.shape != tuple(ours.shape) or not np.array_equal(found, ours.numpy()):
            raise ValueError("the preprocessing written for ONNX does not make the same pixels")


def _picture(size: tuple[int, int]) -> Image.Image:
    """A picture in which every pixel counts."""
    chance = np.random.default_rng(0)
    return Image.fromarray(chance.integers(0, 256, (*size, 3), dtype=np.uint8))


def _card(detector: Detector, network: _Network) -> str:
    backbone, score = detector.backbone, SCORES[detector.score]
    if backbone.adapter:
        change = f"the adapter {backbone.adapter.fingerprint[:16]}"
    elif backbone.recipe:
        change = f"the SeTAR recipe {backbone.recipe.fingerprint[:16]}"
    else:
        change = "its original weights"
    line = "" if network.line is None else (
        f" An image is in-distribution where it is at least {network.line!r} (`in_distribution`)."
    )  # fmt: skip
    return README.format(
        title=score.title,
        backbone=backbone.name,
        source=score.source,
        question=score.question,
        threshold=line,
        outputs=", ".join(network.outputs),
        weights=backbone.fingerprint,
        change=change,
        count=len(detector.labels),
    )
