"""What to train and how, with every choice that was left open made."""

from dataclasses import dataclass, field, replace
from typing import Literal

import torch

from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import DataError
from dovetail.models.sizes import PLANS, Size, size_for
from dovetail.training.settings import Settings
from dovetail.training.tuning import Trained, tuning

DEFAULT_EPOCHS, TUNING_EPOCHS = 30.0, 10.0
TUNING_BATCH = 128
WEIGHT_DECAY = 0.1


@dataclass(frozen=True, kw_only=True)
class Captioning:
    """How much of what is said of an image a step sees.

    captions_per_image: as many captions at most. sub_captions: of each long one so many of its sentences; None: the
    whole.
    """

    captions_per_image: int | None = None
    sub_captions: int | None = None


@dataclass(frozen=True)
class Recipe(Captioning):
    """What to train and how; see the options of `dovetail train`. None: what suits the data, the device and the trained
    model that the run begins with, if it does."""

    objective: str = "infonce"
    size: Size | None = None
    image: str | None = None
    text: str | None = None
    tokenizer: str | None = None
    augment: Preprocessing = field(default_factory=Preprocessing)
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    batch: int | None = None
    settings: Settings = field(default_factory=Settings)

    def resolved(self, items: int, gpu: bool, trained: Trained | None = None) -> "Recipe":
        """The same with every None that depends on the data, the device or the trained model to begin with replaced by
        what is used.

        Raises DataError for more than one of steps, epochs and minutes, for a number of nothing, and for options of
        towers from scratch beside a trained model.
        """
        self._check()
        begun = self._from_scratch(items, gpu) if trained is None else self._trained(trained)
        if (begun.batch or 1) < self.settings.accumulate:
            raise DataError(f"a batch of {begun.batch} cannot be divided into {self.settings.accumulate} micro-steps")
        unsaid = self.steps is None and self.epochs is None and self.minutes is None
        usual = DEFAULT_EPOCHS if trained is None else TUNING_EPOCHS
        settings = replace(begun.settings, precision=self.settings.precision or fast_precision(gpu))
        return replace(begun, epochs=usual if unsaid else self.epochs, settings=settings)

    def _from_scratch(self, items: int, gpu: bool) -> "Recipe":
        size = self.size or size_for(items, gpu)
        plan = PLANS[size]
        return replace(
            self,
            size=size,
            image=self.image or plan.image,
            batch=self.batch or plan.batch,
            captions_per_image=self.captions_per_image or plan.captions_per_image,
            settings=self._settings(plan.learning_rate, WEIGHT_DECAY),
        )

    def _trained(self, trained: Trained) -> "Recipe":
        for name in ("size", "image", "text", "tokenizer"):
            if getattr(self, name) is not None:
                raise DataError(
                    f"--{name} makes a model from scratch, --model opens a trained one; give one of the two"
                )
        how = tuning(trained.tune)
        return replace(
            self,
            batch=self.batch or TUNING_BATCH,
            captions_per_image=self.captions_per_image or 1,
            settings=self._settings(how.learning_rate, how.weight_decay),
        )

    def _settings(self, rate: float, decay: float) -> Settings:
        given = self.settings
        return replace(
            given,
            learning_rate=rate if given.learning_rate is None else given.learning_rate,
            weight_decay=decay if given.weight_decay is None else given.weight_decay,
        )

    def _check(self) -> None:
        for name in ("steps", "epochs", "minutes", "batch", "captions_per_image", "sub_captions"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise DataError(f"--{name} {value}: give a number above 0")
        if self.settings.accumulate < 1:
            raise DataError(f"--settings.accumulate {self.settings.accumulate}: give a number above 0")
        if self.settings.micro_batch is not None and self.settings.micro_batch < 1:
            raise DataError(f"--micro-batch {self.settings.micro_batch}: give a number above 0")
        if sum(x is not None for x in (self.steps, self.epochs, self.minutes)) > 1:
            raise DataError("--steps, --epochs and --minutes each say when to stop; give one of them")


def fast_precision(gpu: bool) -> Literal["bf16", "fp32"]:
    """bf16 where the device multiplies in it: on a processor that does not, it takes many times as long as fp32."""
    able = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()  # no public word for it
    return "bf16" if gpu or able else "fp32"
