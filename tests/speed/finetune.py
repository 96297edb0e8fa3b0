"""A step of fine-tuning beside a plain one, ViT-B/16 with random weights, in one run.

    python -m tests.speed.finetune  # SeTAR+FT and CoOp, batch 16, 1,000 labels, 2 threads
    python -m tests.speed.finetune --preset coop --labels 200 --rounds 3
    python -m tests.speed.finetune --device cuda --images 1000 --batch-size 100 --whole
    python -m tests.speed.finetune --backbone ViT-L-14 --device cuda --images 1000 --whole

The plain step has the same tensors, loss and pictures: every prompt padded to 77 tokens, the text
tower in eight parts with gradient checkpointing so that it fits, the whole image tower and its last
block once more for local features. What checkpointing costs, the text tower forward once more, is
measured apart and subtracted. The memory is this process's before a plain step has run. `--whole`
times a training to its end, without the plain step.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from setar_core.adapter import CONTEXT
from setar_core.backbones.base import Classifier
from setar_core.backbones.clip import ClipBackbone, context_prompts
from setar_core.backbones.tower import Features
from setar_core.data.images import find_images
from setar_core.finetune.adapters import Trained
from setar_core.finetune.pictures import Reader, TrainingSet
from setar_core.finetune.plan import preset_plan, resolve
from setar_core.finetune.train import _measured, finetune
from setar_core.labels import LabelSet
from setar_core.recipe import Recipe
from tests.speed.detect import drawn, seconds, show
from tests.speed.search import image_features

PARTS = 8
RECIPES = {"ViT-B-16": "vit-b-16-imagenet1k", "ViT-L-14": "vit-l-14-imagenet1k"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="ViT-B-16", choices=RECIPES)
    parser.add_argument("--preset", action="append", help="(setar-ft and coop)")
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--whole", action="store_true", help="a training to its end")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model, _, preprocess = open_clip.create_model_and_transforms(args.backbone, device=args.device)
    tokenizer = open_clip.get_tokenizer(args.backbone)
    backbone = ClipBackbone(f"{args.backbone}/random", model, preprocess, tokenizer)
    labels = LabelSet(LabelSet.load("imagenet1k").names[: args.labels])
    recipe = Recipe.load(RECIPES[args.backbone])
    recipe = Recipe(recipe.ratios)  # of the published weights, here on random ones
    with tempfile.TemporaryDirectory() as folder:
        paths = find_images([drawn(Path(folder), args.images)])
        pictures = TrainingSet(tuple(paths), tuple(i % len(labels) for i in range(len(paths))))
        for preset in args.preset or ["setar-ft", "coop"]:
            plan = preset_plan(
                preset,
                backbone.name,
                len(labels),
                batch_size=args.batch_size,
                accumulate=args.accumulate,
                precision=args.precision,
            )
            (whole if args.whole else beside)(
                preset, backbone, pictures, labels, plan, recipe, args
            )


def whole(preset, backbone, pictures, labels, plan, recipe, args) -> None:
    """The time of a training, from the call to the last step."""
    steps = []
    taken = seconds(lambda: steps.extend(finetune(backbone, pictures, labels, plan, recipe=recipe)))
    print(f"{preset}: {plan.epochs} epochs, {len(pictures)} images: {taken:.1f} s; {memory(args)}")


def beside(preset, backbone, pictures, labels, plan, recipe, args) -> None:
    """Our step and the plain one in turn."""
    order = [[(i * plan.batch_size + n) % len(pictures) for n in range(plan.batch_size)]
             for i in range(args.rounds + 2)]  # fmt: skip
    plan = resolve(replace(plan, epochs=1), len(labels))
    steps = finetune(backbone, pictures, labels, plan, recipe=recipe, order=order)
    first = time.perf_counter()
    next(steps)  # towers are read for it once
    print(f"{preset}: the first step, with what is computed once, {since(first):.1f} s")
    next(steps)
    print(f"{preset}: {memory(args)}")
    plain = Plain(backbone, pictures, labels, plan, recipe)
    found = []
    for numbers in order[2:]:
        ours = seconds(lambda: next(steps))
        with_again, again = seconds(lambda n=numbers: plain.step(n)), seconds(plain.texts_forward)
        found.append(ours / (with_again - again))
        print(f"  ours {ours:.1f} s, plain {with_again:.1f} s, of it again {again:.1f} s")
    show(f"a step of {preset}", found, 0.5)


def since(first: float) -> float:
    return time.perf_counter() - first


def memory(args) -> str:
    if args.device.startswith("cuda"):
        return f"{torch.cuda.max_memory_allocated() / 1e9:.2f} GB of the GPU at most"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{peak * (1 if sys.platform == 'darwin' else 1024) / 1e9:.2f} GB at most (bar 6)"


class Plain:
    """The step as the libraries' own modules make it."""

    def __init__(self, backbone, pictures, labels, plan, recipe) -> None:
        self.trained = Trained(backbone, plan, recipe)
        self.plan, self.classes = plan, torch.tensor(pictures.classes)
        self.reader = Reader(pictures, backbone.preprocess, plan)
        self.values = {n: x.detach().requires_grad_() for n, x in self.trained.first.items()}
        self.sgd = torch.optim.SGD(
            self.values.values(), plan.rate, plan.momentum, weight_decay=plan.weight_decay
        )
        self.moves = plan.moves == "context"
        prompts = context_prompts(labels.names, plan.words) if self.moves else labels.prompts
        self.tokens = backbone.tokenizer(list(prompts)).to(backbone.device)

    def step(self, numbers: list[int]) -> None:
        model = self.trained.backbone.model
        pixels = torch.stack([self.reader.changed(n, 0) for n in numbers])
        with torch.enable_grad():
            self.trained.load(self.values)
            whole, local = image_features(model.visual, pixels)
            features = Features(whole, local, tuple(model.visual.grid_size))
            head = Classifier(self.texts(lambda f, x: checkpoint(f, x, use_reentrant=False)), None)
            of = self.classes[numbers].to(whole.device)
            found = _measured(self.trained.backbone, features, head, of, self.plan)
            self.sgd.zero_grad()
            found.loss.backward()
            self.sgd.step()

    def texts_forward(self) -> None:
        """What checkpointing does once more."""
        with torch.enable_grad():
            self.trained.load(self.values)
            self.texts(lambda f, x: f(x).detach())

    def texts(self, run: Callable) -> torch.Tensor:
        return torch.cat([run(self._some, tokens) for tokens in self.tokens.chunk(PARTS)])

    def _some(self, tokens: torch.Tensor) -> torch.Tensor:
        model = self.trained.backbone.model
        x = model.token_embedding(tokens)
        if self.moves:
            context = self.values[CONTEXT].expand(len(x), -1, -1)
            x = torch.cat([x[:, :1], context, x[:, 1 + context.shape[1] :]], dim=1)
        x = model.transformer(x + model.positional_embedding, attn_mask=model.attn_mask)
        x = model.ln_final(x)[torch.arange(len(x)), tokens.argmax(dim=-1)]
        return F.normalize(x @ model.text_projection, dim=-1)


if __name__ == "__main__":
    main()
