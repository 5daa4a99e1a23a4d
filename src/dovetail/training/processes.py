"""Being one of several processes, as torchrun starts them: on one machine or on many."""

import os

import torch
from accelerate import PartialState


def is_main() -> bool:
    """Whether this process writes and speaks for all; known (from torchrun) before they have met."""
    return os.environ.get("RANK", "0") == "0"


def on_this_machine() -> int:
    """How many processes of the run share this machine's cores."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def meet() -> torch.device:
    """Joins the processes that torchrun started, where it did; the device of this one."""
    # Without being told, several processes on CPUs would take themselves for runs of their own.
    device: torch.device = PartialState(cpu=not torch.accelerator.is_available()).device
    return device
