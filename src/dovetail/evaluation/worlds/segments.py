"""Segments: which pixels are the `red circle`, as the patches alone tell?"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.contracts import Features
from dovetail.data.records import ImageLike
from dovetail.data.worlds.scenes import Scenes
from dovetail.evaluation.benchmarks import BATCH
from dovetail.evaluation.intervals import bootstrap, mean
from dovetail.evaluation.result import Result
from dovetail.evaluation.segmentation import class_maps, group_maps, jaccard, overlaps
from dovetail.evaluation.zeroshot import check_templates, class_embeddings

TOP_DOWN, BOTTOM_UP = "segmentation/mIoU", "segmentation/jaccard"


class PatchModel(Protocol):
    """What this benchmark needs: a vector for every patch of a picture, with their grid, and vectors of texts."""

    def encode_patches(self, images: list[ImageLike]) -> Features: ...

    def encode_text(self, texts: list[str]) -> Any: ...


@dataclass(frozen=True)
class SegmentationBenchmark:
    """Top-down, every pixel of a thing is given one of all combinations of colour and shape; bottom-up, the patches of
    a picture are put into as many groups as it has things, and one for the ground.

    The ground is not asked for, since captions seldom speak of it. templates: as in zero-shot classification.
    Raises DataError, when called, for templates without {} and for an image tower without a grid of patches.
    """

    source: Scenes
    templates: tuple[str, ...] = ("a {}",)
    name: str = "segmentation"

    def __call__(self, model: PatchModel) -> Result:
        """`segmentation/mIoU`, the mean over classes of shared pixels over all of either, and `segmentation/jaccard`,
        the mean over things of their best overlap with a group; shares of 0..1."""
        check_templates(self.templates)
        names = self.source.world.sampler.vocabulary.names
        classes = class_embeddings(model.encode_text, names, self.templates)
        both, either, best, owner = [], [], [], []
        for start in range(0, len(self.source), BATCH):
            indices = range(start, min(start + BATCH, len(self.source)))
            for index, shared, all_, things in self._measured(model, indices, classes, names):
                both.append(shared)
                either.append(all_)
                best.append(things)
                owner += [index] * len(things)
        shared, union = torch.stack(both), torch.stack(either)

        def mean_iou(weights: Float[Tensor, "s n"]) -> Float[Tensor, " s"]:
            s, u = weights @ shared, weights @ union
            return (s / u.clamp_min(1)).sum(1) / (u > 0).sum(1).clamp_min(1)

        statistics = {TOP_DOWN: mean_iou, BOTTOM_UP: mean(torch.cat(best), torch.tensor(owner))}
        return Result(
            name=self.name,
            figures=bootstrap(statistics, len(shared), shares=statistics),
            counts={"images": len(shared), "classes": len(names), "things": len(owner)},
            details={"templates": list(self.templates)},
        )

    def _measured(self, model: PatchModel, indices: range, classes: Tensor, names: tuple[str, ...]) -> Any:
        """Of each picture its index, the overlaps of the classes, and of the things with groups."""
        number = {name: i for i, name in enumerate(names)}
        scenes = [self.source.scene(i) for i in indices]
        drawn = [self.source.world.style(scene, self.source.size) for scene in scenes]
        images = model.encode_patches([picture.image for picture in drawn])
        maps = class_maps(images, classes.to(images.pooled.device), self.source.size).cpu()
        groups = group_maps(images, [len(scene.things) + 1 for scene in scenes], self.source.size)
        for index, scene, picture, found, group in zip(indices, scenes, drawn, maps, groups, strict=True):
            things = torch.from_numpy(picture.mask).long()
            kinds = torch.tensor([0, *(number[thing.name] for thing in scene.things)])
            yield index, *overlaps(found, kinds[things], len(names), things > 0), jaccard(group, things)
