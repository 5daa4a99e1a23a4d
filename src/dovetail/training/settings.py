"""What can be set about a training run, and how far along it is."""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class Settings:
    """Of one run; the defaults suit most.

    Args:
        learning_rate: at the peak, after the warm-up; None: what suits the size.
        weight_decay: on matrices; gains, biases and the scale are spared. None: what suits what is trained.
        warmup: share of the run over which the learning rate rises.
        clip: greatest norm of the gradient.
        accumulate: micro-steps a step; each sees batch / accumulate images and has its own negatives.
        micro_batch: images a process holds in the towers at once; None: all of a micro-step. The loss and its gradients
            stay those of all (gradient caching), for one more forward pass.
        ema: decay of the running mean of the weights that is evaluated and saved beside them; 0 for none.
        shard: divide parameters, gradients and optimiser state among the processes (FSDP2) instead of copying them.
        precision: bf16 (the towers' products in bfloat16, all else in float32) or fp32; None: bf16 where the device
            multiplies in it.
        evaluations: how often to evaluate during the run, the end included.
        save_seconds: longest time between two checkpoints.
        log_every: steps between two rows of the log.
    """

    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup: float = 0.05
    clip: float = 1.0
    accumulate: int = 1
    micro_batch: int | None = None
    ema: float = 0.0
    shard: bool = False
    precision: Literal["bf16", "fp32"] | None = None
    evaluations: int = 5
    save_seconds: float = 120.0
    log_every: int = 10


class Budget(Protocol):
    """When a run is over."""

    def progress(self, step: int, seconds: float) -> float:
        """The share of the run that is done after `step` steps and `seconds` seconds, 1 or more at its end."""
        ...


@dataclass(frozen=True)
class Steps:
    """A number of optimiser steps. The run is the same bit for bit whenever it is repeated, killed or continued."""

    total: int

    def progress(self, step: int, seconds: float) -> float:
        return step / self.total


@dataclass(frozen=True)
class Minutes:
    """A length of time. The schedule follows the clock, so two runs differ in the steps they make."""

    total: float

    def progress(self, step: int, seconds: float) -> float:
        return seconds / (60 * self.total)


@dataclass(frozen=True)
class Span:
    """A part of a run: from one share of its budget to another."""

    start: float = 0.0
    stop: float = 1.0

    def within(self, progress: float) -> float:
        """The share of this part that is done when so much of the run is; 1 or more at its end."""
        return (progress - self.start) / max(1e-9, self.stop - self.start)
