"""Training batches: scenes of trained concepts, counter-examples, their captions and targets."""

import random
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from assets.build import captions, world
from assets.build.drawing import backgrounds, outliers, scenes, sprites
from assets.build.model import IMAGE_SIDE


class Sizes(NamedTuple):
    """Scenes a batch of each sort, and what is kept ready to draw them from."""

    named: int = 100  # scenes with objects that have a label
    empty: int = 6  # backgrounds alone
    nothing: int = 26  # scenes with counter-example objects
    backgrounds: int = 3000
    counter_examples: int = 1200

    def share(self, workers: int) -> "Sizes":
        """What each of `workers` draws, so that together they draw this."""
        return self._replace(
            named=self.named // workers,
            empty=self.empty // workers,
            nothing=self.nothing // workers,
        )


class Batch(NamedTuple):
    """The named scenes, of distinct main concepts, then the empty ones, then the nothings."""

    pictures: Tensor  # (B, 3, 64, 64) in [0, 1]
    target: Tensor  # (B, C) the label to name, as shares; zero for counter-examples
    there: Tensor  # (B, C) bool, every label in the picture
    captions: list[str]  # of the named scenes, then of the empty ones


class SceneSource:
    """Endless batches from one seed."""

    def __init__(self, seed: int, sizes: Sizes | None = None):
        self.sizes = sizes or Sizes()
        self.gen = torch.Generator().manual_seed(seed)
        self.rng = random.Random(seed)
        labels = world.trained()
        self.label_of = torch.tensor([i for i, c in enumerate(labels) for _ in c.emoji])
        self.rows_of = [(self.label_of == i).nonzero().flatten() for i in range(len(labels))]
        self.things = sprites.atlas_of("".join(c.emoji for c in labels)).levels[1]
        self.families = list(backgrounds.TRAINED)
        ready = self.sizes.backgrounds
        self.family = torch.arange(ready) % len(self.families)
        self.bank = torch.empty(ready, 3, IMAGE_SIDE, IMAGE_SIDE, dtype=torch.uint8)
        for rows in torch.arange(ready).split(20 * len(self.families)):
            self._redraw(rows)
        made = outliers.nothings(self.things, self.sizes.counter_examples, self.gen)
        self.atlas = sprites.atlas_from(torch.cat((self.things, made)))

    def batch(self, company: float = 1.0, grey_share: float = 0.45) -> Batch:
        """The next scenes; `company` in [0, 1] says how often objects are not alone."""
        named, empty, nothing = self.sizes[:3]
        size, labels, gen = named + empty + nothing, len(self.rows_of), self.gen
        self._renew()
        crowded = torch.rand(size, generator=gen) < 0.1 * company
        count = 1 + (torch.rand(size, generator=gen) < 0.1 + 0.25 * company).long()
        count += (count == 2) & (torch.rand(size, generator=gen) < 0.3)
        count = torch.where(crowded, 2 + torch.randint(2, (size,), generator=gen), count)
        main = torch.randperm(labels, generator=gen)[:named]
        step = torch.randint(1, labels // 2, (named, 2), generator=gen).cumsum(1)
        label = torch.cat((main[:, None], (main[:, None] + step) % labels), 1)
        rows = torch.full((size, scenes.MAX_OBJECTS), -1)
        rows[:named] = torch.stack([self._one_of(i) for i in label.flatten().tolist()]).view(-1, 3)
        rows[named + empty :] = len(self.things) + torch.randint(
            self.sizes.counter_examples, (nothing, scenes.MAX_OBJECTS), generator=gen
        )
        rows[torch.arange(scenes.MAX_OBJECTS) >= count[:, None]] = -1
        layout = scenes.arrange(rows, gen, crowded)
        place = torch.randint(len(self.bank), (size,), generator=gen)
        pictures = scenes.draw(self.atlas, layout, self._grounds(place))
        grey = torch.rand(size, generator=gen) < grey_share
        pictures = self._weathered(pictures, grey)

        seen = torch.arange(scenes.MAX_OBJECTS) < count[:named, None]
        there = torch.zeros(size, labels)
        there[:named].scatter_add_(1, label, seen.float())
        # The class token is asked for the main object, in a crowd for any of them.
        share = torch.where(
            crowded[:named, None], seen.float(), torch.tensor([1.0, 0.06, 0.06]) * seen
        )
        target = torch.zeros(size, labels)
        target[:named].scatter_add_(1, label, share / share.sum(1, keepdim=True))
        texts = []
        for i in range(named + empty):
            family = self.families[int(self.family[place[i]])]
            texts.append(
                captions.empty_caption(family)
                if i >= named
                else self._caption(
                    label[i, : count[i]].tolist(),
                    family,
                    float(layout.size[i, 0]),
                    bool(grey[i]),
                    bool(crowded[i]),
                )
            )
        return Batch(pictures, target, there > 0, texts)

    def label_prompts(self) -> list[str]:
        """One prompt for each trained label, its template drawn at random."""
        return [captions.label_prompt(concept, self.rng) for concept in world.trained()]

    def _caption(
        self, labels: list[int], family: str, size: float, grey: bool, crowded: bool
    ) -> str:
        if len(labels) > 1 and self.rng.random() < 0.5:
            labels = [self.rng.choice(labels)] if crowded else labels[:1]
        named = [world.trained()[i] for i in labels]
        return captions.caption(named, family, size, grey, self.rng)

    def _one_of(self, label: int) -> Tensor:
        rows = self.rows_of[label]
        return rows[torch.randint(len(rows), (1,), generator=self.gen)[0]]

    def _redraw(self, rows: Tensor) -> None:
        """Draws backgrounds anew, at twice the side, as the shipped scenes are shrunk too."""
        for k in self.family[rows].unique().tolist():
            mine = rows[self.family[rows] == k]
            large = backgrounds.draw_family(self.families[k], len(mine), 2 * IMAGE_SIDE, self.gen)
            self.bank[mine] = (F.avg_pool2d(large, 2) * 255).round().to(torch.uint8)

    def _renew(self) -> None:
        """Draws a few backgrounds and counter-examples anew."""
        self._redraw(torch.randint(len(self.bank), (6,), generator=self.gen))
        made = self.sizes.counter_examples
        rows = torch.randint(made, (5,), generator=self.gen) + len(self.things)
        fresh = sprites.atlas_from(outliers.nothings(self.things, 5, self.gen))
        for mine, new in zip(
            (*self.atlas.levels, self.atlas.shadow), (*fresh.levels, fresh.shadow), strict=True
        ):
            mine[rows] = new

    def _grounds(self, place: Tensor) -> Tensor:
        grounds = self.bank[place].float() / 255
        mirrored = torch.rand(len(place), 1, 1, 1, generator=self.gen) < 0.5
        return torch.where(mirrored, grounds.flip(3), grounds)

    def _weathered(self, pictures: Tensor, grey: Tensor) -> Tensor:
        """Some pictures without colour, some in false colours, posterised, blurred or grainy."""
        n, gen = len(pictures), self.gen
        chance = torch.rand(4, n, generator=gen)
        turn = torch.where(chance[0] < 0.08, (torch.rand(n, generator=gen) - 0.5) * 6.28, 0)
        even = torch.ones(n)
        light = torch.where(chance[1] < 0.3, 0.7 + 0.5 * torch.rand(n, generator=gen), 1)
        pictures = torch.einsum("nij,njhw->nihw", scenes.hue_matrix(turn, even, light), pictures)
        pictures = torch.where(grey[:, None, None, None], scenes.greyed(pictures), pictures)
        steps = torch.randint(2, 6, (n, 1, 1, 1), generator=gen)
        poster = (chance[2] < 0.05)[:, None, None, None]
        pictures = torch.where(poster, (pictures * steps).round() / steps, pictures)
        soft = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)
        share = torch.where(chance[3] < 0.3, torch.rand(n, generator=gen) * 1.6 - 0.8, 0)
        pictures = pictures + (soft - pictures) * share[:, None, None, None]
        grain = torch.randn(pictures.shape, generator=gen) * 0.02
        return (pictures + grain).clamp(0, 1)
