"""A detector as one file that decides alike wherever it is opened: JSON, and arrays beside it.

`NAME.json` says all that a verdict depends on; the arrays lie beside it as safetensors, in files
named by their part and the start of their SHA-256, which the JSON names in full: `heads`, the rows
of labels and negatives; `adapter`; `fit`, what scores learned. `NAME.zip` is all of it in one.
Nothing in them is code, and everything is checked before it is used.
"""

from __future__ import annotations

import datetime
import json
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..adapter import Adapter, read_tensors, write_whole
from ..backbones import load_backbone
from ..backbones.base import Backbone, Classifier
from ..backbones.loading import BLACK
from ..backbones.progress import Progress
from ..data.strict import short
from ..recipe import Recipe
from ..scores import ScoreOptions
from ..scores.evidence import NegativeClassifier
from ..scores.shaping import Shaping
from ..threshold import Threshold, calibrate
from .page import MAX_ARRAYS, PARTS, VERSION, Page, Part, checked, files_of, opened, sha256

if TYPE_CHECKING:
    from . import Detector

KEY = "setar_heads"  # of what the rows' file says of itself


def save(detector: Detector, path: str | Path, called: str | None = None) -> None:
    """Write `NAME.json` and the arrays beside it, or `NAME.zip` with all of it; `called` is the
    backbone's name in it, by default its own.

    What was there stays until the new one is whole.

    Raises:
        ValueError: another ending, or a score that does not name what it learns.
        OSError: the disk is full, or gone.
    """
    path = Path(path)
    check_name(path)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.with_suffix(".json").name
        page, parts = _write_parts(detector, made, called or detector.backbone.name)
        text = json.dumps(page, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        if path.suffix == ".zip":
            made.write_text(text, encoding="utf-8")
            whole = Path(folder) / "whole.zip"
            with zipfile.ZipFile(whole, "w") as archive:
                for file in (made, *parts):
                    archive.write(file, file.name)
            write_whole(path, whole.read_bytes())
            return
        old = files_of(path)
        for part in parts:
            write_whole(path.with_name(part.name), part.read_bytes())
        write_whole(path, text.encode())
    for name in old - {part.name for part in parts}:
        with suppress(OSError):
            path.with_name(name).unlink()


def check_name(path: str | Path) -> None:
    """Raises ValueError for a file that does not say what it is."""
    if Path(path).suffix not in (".json", ".zip"):
        raise ValueError(f"{path}: a detector's file ends in .json or .zip; name it so")


def load(
    path: str | Path,
    backbone: Backbone | str | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Detector:
    """As `Detector.load`."""
    with opened(path) as page:
        if backbone is None or isinstance(backbone, str):
            backbone = load_backbone(backbone or page.backbone, device, progress)
        return on_backbone(page, backbone)


def on_backbone(page: Page, backbone: Backbone) -> Detector:
    """The detector of a page, on its backbone.

    Raises:
        ValueError: other weights, arrays that are missing or differ, or values that do not go
            together; names the file.
    """
    try:
        return _made(page, backbone)
    except ValueError as error:
        raise ValueError(f"detector {page.path.name}: {error}") from None


def _made(page: Page, backbone: Backbone) -> Detector:
    from . import Detector

    values = page.values
    known = values["backbone"]["fingerprint"]
    if known != backbone.fingerprint:
        raise ValueError(
            f"it is for {short(page.backbone)} with the weights {short(known)}; "
            f"{backbone.name} has {backbone.fingerprint}, so load those it was made with"
        )
    files = {name: checked(page.path.parent, part) for name, part in page.parts.items()}
    recipe = (
        None
        if values["recipe"] is None
        else Recipe.loads(json.dumps(values["recipe"], allow_nan=False))
    )
    if "adapter" in files:
        backbone = backbone.altered(Adapter.load(files["adapter"]))
    else:
        backbone = backbone.altered(recipe)
    labels = page.labels
    heads = read_tensors(files["heads"], KEY, MAX_ARRAYS)[1]
    classifier, negatives = _heads(values, heads, len(labels), backbone)
    detector = Detector(
        backbone,
        labels,
        values["score"],
        ScoreOptions(**values["options"]),
        classifier=classifier,
        negatives=negatives,
        shaping=Shaping.parse(values["shaping"]) if values["shaping"] is not None else None,
    )
    if "fit" in files:
        detector = detector.with_fit(files["fit"])
    _check_context(values["context"], detector.context.page())
    return detector.with_threshold(_threshold(values["threshold"], detector))


def _heads(
    values: Mapping[str, Any], heads: dict[str, Tensor], labels: int, backbone: Backbone
) -> tuple[Classifier, dict[str, NegativeClassifier]]:
    """The rows of labels and negatives, each as large as it has to be."""
    D = backbone.features(backbone.preprocess(BLACK)[None]).whole.shape[1]
    shapes = {"labels.weight": (labels, D), "labels.bias": (labels,)}
    if "labels.templates" in heads:
        shapes["labels.templates"] = (len(values["prompt"].split("\n")), labels, D)
    for way, page in values["negatives"].items():
        shapes |= {f"{way}.labels": (labels, D), f"{way}.negatives": (len(page["words"]), D)}
    needed = set(shapes) - {"labels.bias", "labels.templates"}
    if not needed <= set(heads) <= set(shapes):
        raise ValueError(f"its heads are {short(sorted(heads))}, not {', '.join(sorted(needed))}")
    for name, tensor in heads.items():
        if tuple(tensor.shape) != shapes[name] or not bool(tensor.isfinite().all()):
            raise ValueError(
                f"its {name} are {tuple(tensor.shape)} or no finite numbers; "
                f"{shapes[name]} is needed, so save it again"
            )
    at = {name: tensor.to(backbone.device) for name, tensor in heads.items()}
    classifier = Classifier(
        at["labels.weight"], at.get("labels.bias"), values["examples"], at.get("labels.templates")
    )
    negatives = {
        way: NegativeClassifier(
            at[f"{way}.labels"], at[f"{way}.negatives"], tuple(page["words"]), page["fingerprint"]
        )
        for way, page in values["negatives"].items()
    }
    return classifier, negatives


def _threshold(value: Any, detector: Detector) -> float | Threshold | None:
    """A number given by hand, or what its calibration images' scores come to."""
    if value is None or isinstance(value, (int, float)):
        return value
    scores, recall = value.get("scores"), value.get("recall")
    numbers = isinstance(scores, list) and all(type(x) in (int, float) for x in scores)
    if not numbers or type(recall) not in (int, float):
        raise ValueError("its threshold has no scores of calibration images; calibrate again")
    found = calibrate(scores, recall, detector.context)
    if found.value != value.get("value"):
        raise ValueError(
            f"its threshold is {short(value.get('value'))}, and its calibration images' scores "
            f"come to {found.value!r}; calibrate again, or give a number for the threshold"
        )
    return found


def _check_context(said: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raises ValueError where the file is another than the one whose scores it tells of."""
    names = dict.fromkeys((*said, *found))  # the backbone's name may be another folder's here
    if changed := [n for n in names if n != "backbone" and said.get(n) != found.get(n)]:
        told = (n.replace("_", " ") if n in found else short(n) for n in changed)
        raise ValueError(
            f"its {', '.join(told)} were changed after it was saved, and its "
            "threshold and arrays are not of them; make the detector again"
        )


def _write_parts(detector: Detector, path: Path, called: str) -> tuple[dict[str, Any], list[Path]]:
    """The JSON of a detector whose arrays are now beside `path`, and their files."""
    from safetensors.torch import save as as_bytes

    backbone, found = detector.backbone, detector.threshold
    made: dict[str, Path] = {name: path.with_name(name) for name in PARTS}
    heads = {name: x.cpu().contiguous() for name, x in _arrays(detector).items()}
    made["heads"].write_bytes(as_bytes(heads, {KEY: str(VERSION)}))
    if backbone.adapter is not None:
        backbone.adapter.save(made["adapter"])
    shaping = detector.shaping
    if detector.fitted or (shaping and shaping.asked.learns and shaping.limit is not None):
        detector.save_fit(made["fit"])
    parts = {}
    for name, file in made.items():
        if file.exists():
            digest = sha256(file)
            final = path.with_name(f"{path.stem}.{name}-{digest[:8]}.safetensors")
            parts[name] = Part(file.rename(final).name, digest)
    threshold: Any = found
    if isinstance(found, Threshold):
        context = {**found.context.page(), "backbone": called}
        threshold = {**found.page(), "scores": list(found.scores), "context": context}
    recipe = None if backbone.adapter else backbone.recipe
    page = {
        "setar_detector": VERSION,
        "version": _version(),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ"),
        "backbone": {"name": called, "fingerprint": backbone.fingerprint},
        "recipe": json.loads(recipe.dumps()) if recipe else None,
        "labels": list(detector.labels.names),
        "prompt": detector.labels.prompt,
        "negatives": {
            way: {"words": list(mined.words), "fingerprint": mined.fingerprint}
            for way, mined in sorted(detector.negatives.items())
        },
        "score": detector.score,
        "options": detector.options.page(),
        "shaping": str(shaping.asked) if shaping else None,
        "examples": detector.classifier.examples,
        "threshold": threshold,
        "context": {**detector.context.page(), "backbone": called},
        "arrays": {name: part._asdict() for name, part in parts.items()},
    }
    return page, [path.with_name(part.file) for part in parts.values()]


def _arrays(detector: Detector) -> dict[str, Tensor]:
    head = detector.classifier
    found = {"labels.weight": head.weight}
    if head.bias is not None:
        found["labels.bias"] = head.bias
    if head.templates is not None:
        found["labels.templates"] = head.templates
    for way, mined in detector.negatives.items():
        found |= {f"{way}.labels": mined.labels, f"{way}.negatives": mined.negatives}
    return found


def _version() -> str:
    try:
        return version("setar-explorer")
    except PackageNotFoundError:
        return "unknown"
