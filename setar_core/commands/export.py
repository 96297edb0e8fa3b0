"""`export`: a recipe or an adapter merged into the weights, as a folder for open_clip or timm; a
recipe's low-rank matrices as two thin ones each; or a whole detector for ONNX Runtime."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from . import add_adapter, add_backbone, add_recipe, open_backbone
from .console import say, tell

if TYPE_CHECKING:
    from ..backbones import Backbone

TO = ("open_clip", "timm", "factorised", "onnx")
CARD = """# {name} with {change}

The weights of {name} (fingerprint {weights}); merged into them is {change}. All else is as it was,
its licence too.

```python
{opened}
```
"""
OPEN_CLIP = """import open_clip

model, _, preprocess = open_clip.create_model_and_transforms("local-dir:FOLDER")
tokenizer = open_clip.get_tokenizer("local-dir:FOLDER")"""
TIMM = """import timm

model = timm.create_model("local-dir:FOLDER", pretrained=True)"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("export", help=__doc__, description=__doc__)
    add_backbone(parser, required=False)
    add_recipe(parser)
    add_adapter(parser)
    parser.add_argument(
        "--detector",
        metavar="FILE",
        help="a saved detector, for ONNX Runtime; --backbone says where its network lies now",
    )
    parser.add_argument(
        "--to",
        choices=TO,
        help="which library is to open it (onnx for a --detector, else the backbone's own); "
        "factorised: its own, by a file of PyTorch beside it",
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="one that is not there yet")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    out = Path(args.out)
    if out.exists() or out.is_symlink():
        raise ValueError(f"{args.out} is there already; give the name of a new folder")
    if not out.parent.is_dir():
        raise ValueError(f"{args.out}: its folder does not exist; make it first")
    if (args.to == "onnx" or args.to is None) and args.detector:
        return _onnx(args, out)
    if args.detector or args.to == "onnx":
        raise ValueError(
            "a --detector is for --to onnx, and --to onnx for a --detector; merge its --recipe or "
            "--adapter for a library of networks"
        )
    if args.backbone is None:
        raise ValueError("--backbone is missing; say which network")
    if not (args.recipe or args.adapter):
        raise ValueError("there is nothing to merge; give a --recipe or an --adapter")
    backbone = open_backbone(args)
    own = "open_clip" if backbone.has_text else "timm"
    if args.to == "factorised":
        return _factorised(backbone, args.out)
    if args.to not in (None, own):
        raise ValueError(f"{backbone.name} is a network of {own}; give --to {own}, or leave it out")
    with _new_folder(out) as whole:
        backbone.save(whole)
        (whole / "README.md").write_text(card(backbone), encoding="utf-8")
    return _named(backbone, args.out)


def _factorised(backbone: Backbone, out: str) -> int:
    """The recipe's matrices in two, where that is less."""
    from ..interop.factorised import export_factorised

    with _new_folder(Path(out)) as whole:
        found = export_factorised(backbone, whole)
    for line in str(found).splitlines():
        say(line)
    return _named(backbone, out)


def _named(backbone: Backbone, out: str) -> int:
    """Say what was written, and by which name it is loaded."""
    size = sum(path.stat().st_size for path in Path(out).iterdir())
    say(f"{backbone.name} with {_change(backbone)}: {size / 1e6:,.0f} MB")
    tell(f"{'' if backbone.has_text else 'timm:'}local-dir:{out}")
    return 0


def _onnx(args: argparse.Namespace, out: Path) -> int:
    """The whole detector, for ONNX Runtime."""
    if args.recipe or args.adapter or args.prune:
        raise ValueError("--detector brings its recipe or its adapter; leave those out")
    from ..detector import Detector
    from ..interop.onnx import export_onnx

    detector = Detector.load(args.detector, args.backbone, progress=say)
    with _new_folder(out) as whole:
        difference = export_onnx(detector, whole)
    size = sum(path.stat().st_size for path in out.iterdir())
    say(f"{size / 1e6:,.0f} MB; ONNX Runtime's scores differ by {difference:.1g} from ours at most")
    tell(args.out)
    return 0


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder that is `out` once what is written into it is whole."""
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as passing:
            whole = Path(passing, out.name)
            whole.mkdir()
            yield whole
            whole.rename(out)
    except OSError as error:
        raise OSError(f"{out} cannot be written ({error.strerror or error})") from None


def card(backbone: Backbone) -> str:
    """What the folder holds and how it is opened, as Markdown."""
    return CARD.format(
        name=backbone.name,
        change=_change(backbone),
        weights=backbone.original.fingerprint,
        opened=OPEN_CLIP if backbone.has_text else TIMM,
    )


def _change(backbone: Backbone) -> str:
    if backbone.adapter:
        plan = backbone.adapter.plan
        kind = f"{plan.get('moves', backbone.adapter.moves)} + {plan.get('loss', 'its own loss')}"
        return f"the adapter {backbone.adapter.fingerprint} ({kind})"
    return f"the SeTAR recipe {backbone.recipe.fingerprint[:8]}" if backbone.recipe else "no change"
