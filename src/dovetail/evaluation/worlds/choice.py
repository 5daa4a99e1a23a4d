"""Caption choice: does the model score a true caption above a nearly true one?

Yuksekgonul et al., "When and Why Vision-Language Models Behave like Bags-of-Words, and What to Do About It?", 2023.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dovetail.data.records import Problems, Record
from dovetail.data.worlds.scenes import Scenes
from dovetail.data.worlds.tasks.negatives import KINDS, Negative, check_kinds, negatives
from dovetail.evaluation.benchmarks import DualModel, encoded
from dovetail.evaluation.choosing import chosen
from dovetail.evaluation.intervals import Estimate, Statistic, bootstrap, mean, mean_per_class
from dovetail.evaluation.result import Result
from dovetail.evaluation.worlds.asking import Key, encoded_texts, questioned
from dovetail.ops.features import take
from dovetail.ops.similarity import compare

MEAN = "choice/mean"


@dataclass(frozen=True)
class ChoiceBenchmark:
    """For every scene and kind of negative that applies to it: is the true text scored above the false one?

    Scenes of which no kind applies are counted as skipped. Raises DataError for an unknown kind and, when called, if
    nothing usable is left.
    """

    source: Scenes
    kinds: tuple[str, ...] = KINDS
    name: str = "caption choice"

    def __post_init__(self) -> None:
        check_kinds(self.kinds)

    def __call__(self, model: DualModel) -> Result:
        """`choice/swapped attribute` and so on, one for each kind that applies anywhere, and `choice/mean`, their mean.

        All are shares of 0..1, of which chance gives a half; equal scores count half.
        """
        problems = Problems()
        records, images = encoded(model, questioned(self.source, self._negatives, problems, "no negative"), problems)
        asked = [(i, negative) for i, record in enumerate(records) for negative in record.extra["questions"]]
        texts = encoded_texts(model, (t for _, n in asked for t in (n.true, n.false)), images.pooled.device)
        right = torch.empty(len(asked), dtype=torch.float64)
        for place, (i, negative) in enumerate(asked):
            options = texts((negative.true, negative.false))
            right[place] = chosen(compare(model.similarity, take(images, torch.tensor([i])), options))[0, 0]
        owner = torch.tensor([i for i, _ in asked])
        kind = torch.tensor([self.kinds.index(negative.kind) for _, negative in asked])
        figures = self._figures(right, owner, kind, len(records))
        counts = {"images": len(records), "choices": len(asked)}
        return Result(self.name, figures, dict.fromkeys(figures, 0.5), counts, problems)

    def _negatives(self, record: Record, key: Key) -> tuple[Negative, ...]:
        world = self.source.world
        return negatives(record.extra["scene"], key, self.kinds, world.telling.language, world.sampler.vocabulary)

    def _figures(
        self, right: Float[Tensor, " q"], owner: Int[Tensor, " q"], kind: Int[Tensor, " q"], images: int
    ) -> dict[str, Estimate]:
        figures: dict[str, Estimate] = {}
        for k in kind.unique().tolist():  # a scene has at most one negative of a kind
            name, of = f"choice/{self.kinds[k]}", right[kind == k]
            figures |= bootstrap({name: mean(of)}, len(of), shares=[name])
        over_kinds: Statistic = mean_per_class(right, kind)
        return figures | bootstrap({MEAN: lambda weights: over_kinds(weights[:, owner])}, images, shares=[MEAN])
