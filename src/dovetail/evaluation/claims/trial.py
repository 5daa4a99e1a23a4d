"""One training of an experiment, and what was measured on the model that came of it. Both are kept in a folder."""

import platform
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from dovetail.catalogue import configuration, contract_named, lookup
from dovetail.contracts import Benchmark, Encoder
from dovetail.data.images import decode
from dovetail.data.survey import Survey, survey
from dovetail.evaluation.adapter import Embedder
from dovetail.evaluation.claims.claim import TEACHER
from dovetail.evaluation.claims.fingerprint import code, describe, digest, modules_of
from dovetail.evaluation.claims.sources import Source, of_seed, opened
from dovetail.evaluation.validation import validation
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import read_json, write_json
from dovetail.models.pretrained import load
from dovetail.models.sizes import PLANS
from dovetail.training.assemble import make_objective
from dovetail.training.recipe import Recipe
from dovetail.training.run import device, fit, has_gpu

COST = "cost.json"
RUNNING = ("dovetail.training.run", "dovetail.evaluation.claims.sources")
VALIDATING = "dovetail.evaluation.validation"
MEASURING = ("dovetail.evaluation.adapter",)
TEXT_TOWER = "text_transformer"  # what a plan's own text tower is


@dataclass(frozen=True)
class Spent:
    """What a training cost and how far it went. peak_bytes: the most memory of the process (GPU: of the device)."""

    seconds: float
    images: int
    steps: int
    peak_bytes: int
    parameters: int


@dataclass(frozen=True)
class Trial:
    """A recipe, its data and a seed. Equal trials are trained once, whichever claim asks.

    validation: what is looked at during training, by which the best weights are chosen; None: the last ones are kept.
    """

    recipe: Recipe
    train: Source
    seed: int
    validation: Source | None = None

    @property
    def source(self) -> Source:
        """What this seed is trained on."""
        return of_seed(self.train, self.seed)

    @property
    def fingerprint(self) -> str:
        """A hash of all that the trained model depends on, but for versions of libraries and the machine."""
        needed = {*RUNNING, *modules_of(self.train), *methods_of(self.recipe)}
        return digest(describe(self), code(needed | {VALIDATING} if self.validation else needed))


@dataclass(frozen=True, kw_only=True)
class Taught(Trial):
    """A trial whose objective names the model of another as `{teacher}`."""

    teacher: Trial

    @property
    def fingerprint(self) -> str:
        """A hash of all that the trained model depends on, its teacher too."""
        return digest(super().fingerprint, self.teacher.fingerprint)


def methods_of(recipe: Recipe) -> set[str]:
    """The modules of the methods that a recipe is made of."""
    objective = make_objective(recipe.objective)
    towers = [recipe.image or PLANS[recipe.size].image if recipe.size else recipe.image, recipe.text or TEXT_TOWER]
    keys = [lookup(spec.partition("(")[0].partition(":")[0].strip(), Encoder) for spec in towers if spec]
    return {entry.make.__module__ for entry in keys} | set(_modules(configuration(objective))) | _held(objective)


def _held(objective: nn.Module) -> set[str]:
    """The modules of the methods that an objective is made of without an option for them."""
    parts = [x for module in objective.modules() for x in (module, *vars(module).values())]
    return {type(x).__module__ for x in parts if type(x).__module__.startswith("dovetail.methods.")}


def _modules(held: Any) -> list[str]:
    """The modules of every method in a configuration."""
    if isinstance(held, Mapping) and held.keys() == {"contract", "method", "options"}:
        entry = lookup(held["method"], contract_named(held["contract"]))
        return [entry.make.__module__, *(m for v in held["options"].values() for m in _modules(v))]
    return [m for v in held for m in _modules(v)] if isinstance(held, list) else []


def trained(trial: Trial, work: Path, console: Console | None = None) -> Path:
    """The folder of the trained model; trains it, or what a killed run left to train, unless that is done.

    Raises DataError, CatalogueError and TrainingStopped as `dovetail train` does.
    """
    folder = work / trial.fingerprint
    if (folder / COST).is_file():
        return folder
    source = opened(trial.source)
    found = _surveyed(trial.source)
    recipe = _named(trial, work, console).resolved(found.items, has_gpu())
    validate = validation([opened(trial.validation)]) if trial.validation else None
    config = {"trial": describe(trial)}
    begin_peak()
    run = fit(
        [source], found, folder, recipe, config, trial.seed,
        validate=validate, resume=folder.exists(), console=console or Console(quiet=True),
    )  # fmt: skip
    state = run.state
    spent = Spent(state.seconds, state.images, state.step, peak_bytes(), run.parameters["all"])
    write_json(asdict(spent), folder / COST)
    return folder


def _named(trial: Trial, work: Path, console: Console | None) -> Recipe:
    """The recipe, with the folder of its trained teacher where it has one."""
    if not isinstance(trial, Taught):
        return trial.recipe
    folder = trained(trial.teacher, work, console).resolve()
    return replace(trial.recipe, objective=trial.recipe.objective.replace(TEACHER, str(folder)))


@lru_cache(maxsize=4)
def _surveyed(source: Source) -> Survey:
    return survey([opened(source)], decode)


def spent(folder: Path) -> Spent:
    """What the training in this folder cost."""
    return Spent(**read_json(folder / COST))


@dataclass(frozen=True)
class Measurement:
    """The figures of a benchmark by name, and what chance gives."""

    figures: Mapping[str, float]
    shares: tuple[str, ...]  # the figures that are shares of 0..1
    chance: Mapping[str, float]
    benchmark: str


def measured(folder: Path, benchmark: Benchmark) -> Measurement:
    """What a benchmark finds of the model in `folder`; measured unless that has been done with the same code."""
    parts = {*MEASURING, *modules_of(benchmark)}
    path = folder / f"measured-{digest(describe(benchmark), code(parts))[:16]}.json"
    if path.is_file():
        held = read_json(path)
        return Measurement(held["figures"], tuple(held["shares"]), held["chance"], held["benchmark"])
    found = benchmark(Embedder(model_in(folder)))
    figures = {name: estimate.value for name, estimate in found.items()}
    shares = tuple(name for name, estimate in found.items() if estimate.share)
    result = Measurement(figures, shares, dict(getattr(found, "chance", {})), benchmark.name)
    write_json(asdict(result), path)
    return result


def model_in(folder: Path) -> DualEncoder:
    """The trained model of a trial."""
    return load(folder, device())


def begin_peak() -> None:
    """Forgets the memory that was needed so far, where the system can."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:  # some containers forbid it: the peak is then that of the process since its start
            return


def peak_bytes() -> int:
    """The most memory since `begin_peak`: of the GPU where there is one, else resident of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def machine() -> str:
    """The device in words: a GPU's name, or the processor and how many cores."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.is_file()
        else []
    )
    threads = torch.get_num_threads()
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"
