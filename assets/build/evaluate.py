"""Measures a backbone on fresh scenes: `python -m assets.build.evaluate --backbone DIR`.

Everything goes through open_clip, as a user would load the folder; scores are at temperature 1 on
the raw cosine, and a higher score means more in-distribution.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import open_clip
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from assets.build import sets, world
from assets.build.model import IMAGE_SIDE, normalised

PROMPT = "a photo of a {}"
SIDE = 192  # the scenes are drawn at the shipped size and shrunk


class Separation(NamedTuple):
    """How well a score tells ID from one OOD set, in percent."""

    auroc: float
    fpr95: float


class OodRow(NamedTuple):
    """One OOD set under both scores."""

    name: str
    mcm: Separation
    gl_mcm: Separation


class Figures(NamedTuple):
    """Accuracies in percent, and the OOD tables."""

    top1: dict[str, float]  # by set and group
    best_patch: float
    ood: list[OodRow]
    more: list[OodRow]  # single held-out groups
    crowd: list[OodRow]  # ID scenes of three objects against the OOD sets


class Scorer:
    """A loaded backbone: cosines of pictures to labels."""

    def __init__(self, folder: Path):
        name = f"local-dir:{folder}"
        self.model, _, self.preprocess = open_clip.create_model_and_transforms(name)
        self.model = self.model.float().eval()
        self.tokenize = open_clip.get_tokenizer(name)
        top = self.model.visual.transformer.resblocks[-1]
        top.register_forward_pre_hook(lambda _, given: setattr(self, "before_top", given[0]))

    @torch.no_grad()
    def texts(self, labels: Sequence[str], prompt: str = PROMPT) -> Tensor:
        """Unit vectors (C, D) of the labels in the prompt."""
        return self.model.encode_text(
            self.tokenize([prompt.format(name) for name in labels]), normalize=True
        )

    @torch.no_grad()
    def cosines(self, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Of preprocessed images (B, 3, 64, 64): whole (B, C) and local (B, P, C)."""
        whole = self.model.encode_image(images, normalize=True)
        tower = self.model.visual
        top, x = tower.transformer.resblocks[-1], self.before_top[:, 1:]
        width, attention = x.shape[-1], top.attn
        x = x + attention.out_proj(
            F.linear(
                top.ln_1(x),
                attention.in_proj_weight[2 * width :],
                attention.in_proj_bias[2 * width :],
            )
        )
        x = x + top.mlp(top.ln_2(x))
        local = F.normalize(tower.ln_post(x) @ tower.proj, dim=-1)
        return whole @ texts.T, local @ texts.T


class Cosines(NamedTuple):
    """Of one set: whole (n, C), the local maxima over patches (n, C), L of GL-MCM, main labels."""

    whole: Tensor
    best: Tensor
    local_score: Tensor
    names: list[str]

    @property
    def mcm(self) -> Tensor:
        return self.whole.softmax(-1).amax(-1)

    @property
    def gl_mcm(self) -> Tensor:
        return self.mcm + self.local_score


def measured(folder: Path, scale: float = 1.0) -> Figures:
    """Every figure of the model card; `scale` multiplies the numbers of scenes."""
    scorer = Scorer(folder)
    everything = [c.name for c in world.trained()]
    every_text = scorer.texts(everything)
    top1 = {}
    for name in ("all", "grey"):
        found = cosines_of(scorer, every_text, name, round(2190 * scale))
        top1[name] = _accuracy(found.whole, found.names, everything)
        if name == "all":
            best_patch = _accuracy(found.best, found.names, everything)
            for group in dict.fromkeys(c.group for c in world.trained()):
                rows = [
                    i
                    for i, name in enumerate(found.names)
                    if world.trained()[everything.index(name)].group == group
                ]
                names = [found.names[i] for i in rows]
                top1[group] = _accuracy(found.whole[rows], names, everything)
    animals = world.label_names("animals")
    texts = scorer.texts(animals)

    def score(name: str, count: int) -> Cosines:
        return cosines_of(scorer, texts, name, round(count * scale))

    inside, crowd = score("id", 1200), score("crowd", 600)
    top1["animals among 40"] = _accuracy(inside.whole, inside.names, animals)
    outside = {name: score(name, 600) for name in sets.OOD_SETS}
    crowds = {name: score(name, 600) for name in ("crowd other", "crowd near")}
    groups = [name for name in sets.SETS if name.endswith("_unseen")] + ["animal_other", "food"]
    more = {name: score(name, 300) for name in groups}
    return Figures(
        top1,
        best_patch,
        ood_rows(inside, outside),
        ood_rows(inside, more),
        ood_rows(crowd, outside | crowds),
    )


def cosines_of(scorer: Scorer, texts: Tensor, name: str, count: int) -> Cosines:
    """Draws a set from a seed that neither training nor the shipped benchmark uses, and looks."""
    seed = sets.SETS[name].seed + 6000
    small, names = [], []
    for scene in sets.draw_set(name, count, SIDE, seed):
        shrunk = F.interpolate(scene.picture[None], IMAGE_SIDE, mode="bicubic", antialias=True)
        small.append(normalised(shrunk.clamp(0, 1)))
        names.append(scene.name)
    return cosines_of_images(scorer, texts, torch.cat(small), names)


def cosines_of_images(scorer: Scorer, texts: Tensor, images: Tensor, names: list[str]) -> Cosines:
    """Of preprocessed images (n, 3, 64, 64) whose main objects are `names`."""
    whole, best, local_score = [], [], []
    for part in images.split(200):
        found, local = scorer.cosines(part, texts)
        whole.append(found)
        best.append(local.softmax(-1).amax(1))
        local_score.append(local.softmax(-1).amax((1, 2)))
    return Cosines(torch.cat(whole), torch.cat(best), torch.cat(local_score), names)


def ood_rows(inside: Cosines, outside: dict[str, Cosines]) -> list[OodRow]:
    """Each OOD set against the ID set, under both scores."""
    return [
        OodRow(name, separation(inside.mcm, found.mcm), separation(inside.gl_mcm, found.gl_mcm))
        for name, found in outside.items()
    ]


def separation(inside: Tensor, outside: Tensor) -> Separation:
    """AUROC, and the share of OOD above the threshold that 95 % of ID pass, in percent."""
    truth = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    auroc = roc_auc_score(truth, torch.cat((inside, outside)).numpy())
    threshold = np.quantile(inside.numpy(), 0.05)
    return Separation(100 * float(auroc), 100 * float((outside.numpy() >= threshold).mean()))


def report(figures: Figures) -> str:
    """The figures as Markdown."""
    lines = ["| scenes | top-1 |", "|---|---|"]
    lines += [f"| {name} | {value:.1f} |" for name, value in figures.top1.items()]
    lines += [f"| best patch names the right label | {figures.best_patch:.1f} |"]
    for title, rows in (
        ("OOD set", figures.ood),
        ("single group", figures.more),
        ("ID scenes of three objects against", figures.crowd),
    ):
        lines += [
            "",
            f"| {title} | MCM AUROC | FPR95 | GL-MCM AUROC | FPR95 |",
            "|---|---|---|---|---|",
        ]
        mean = OodRow("mean", *(Separation(*np.mean([row[k] for row in rows], 0)) for k in (1, 2)))
        lines += [
            f"| {row.name} | {row.mcm.auroc:.2f} | {row.mcm.fpr95:.1f} | "
            f"{row.gl_mcm.auroc:.2f} | {row.gl_mcm.fpr95:.1f} |"
            for row in [*rows, mean]
        ]
    return "\n".join(lines)


def _accuracy(cosines: Tensor, names: list[str], labels: list[str]) -> float:
    right = cosines.argmax(-1) == torch.tensor([labels.index(name) for name in names])
    return 100 * right.float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", type=Path, default=Path("assets/backbones/emoji"))
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of scenes")
    chosen = parser.parse_args()
    print(report(measured(chosen.backbone, chosen.scale)))


if __name__ == "__main__":
    main()
