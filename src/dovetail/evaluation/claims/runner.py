"""Runs claims: every training once, whoever asks for it; what is there already is kept; each outcome is written as
soon as its last training is done."""

import multiprocessing
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dovetail.contracts import Benchmark
from dovetail.data.records import DataError
from dovetail.evaluation.claims.claim import TEACHER, Claim, Found, told
from dovetail.evaluation.claims.fingerprint import code, describe, digest, modules_of
from dovetail.evaluation.claims.outcome import Asked, Cost, Made, Measured, Outcome, paired, read, verdict
from dovetail.evaluation.claims.trial import (
    MEASURING,
    Measurement,
    Spent,
    Taught,
    Trial,
    machine,
    measured,
    spent,
    trained,
)
from dovetail.training.recipe import Recipe

LIBRARIES = ("torch", "timm", "transformers", "tokenizers", "numpy")
JUDGING = "dovetail.evaluation.claims.outcome"


def trials(claim: Claim) -> dict[tuple[str, int], Trial]:
    """The trainings of a claim, by role and seed."""
    return {(role, seed): _trial(claim, recipe, seed) for seed in claim.seeds for role, recipe in claim.roles.items()}


def _trial(claim: Claim, recipe: Recipe, seed: int) -> Trial:
    if claim.teacher is None or TEACHER not in recipe.objective:
        return Trial(recipe, claim.train, seed)
    return Taught(recipe, claim.train, seed, teacher=Trial(claim.teacher, claim.train, seed))


def fingerprint(claim: Claim) -> str:
    """A hash of everything that the claim's outcome depends on."""
    parts = {*MEASURING, JUDGING, *modules_of(claim.benchmark)}
    about = (claim.says, describe(claim.benchmark), claim.metric, claim.better)
    return digest(about, code(parts), [trial.fingerprint for trial in trials(claim).values()])


def place(found: Found, results: Path) -> Path:
    """Where an outcome is written: `results/KEY.json`, `results/gpu/KEY.json`."""
    return (results if found.scale == "cpu" else results / found.scale) / f"{found.key}.json"


def stale(found: Found, results: Path) -> bool:
    """Whether the claim, its code or that of its baseline has changed since it was measured, or it never was."""
    before = read(place(found, results))
    return before is None or before.made.fingerprint != fingerprint(found.claim)


def verify(
    claims: Sequence[Found], results: Path, work: Path, jobs: int = 1, console: Console | None = None
) -> list[Outcome]:
    """Runs the claims and writes their outcomes, in the order in which they are complete.

    work: keeps every finished training, so that a killed call goes on where it was. jobs: trainings at a time, each
    with its share of the cores.
    """
    console = console or Console(stderr=True)
    open_claims, done = list(claims), []
    wanted, teachers = _wanted(claims), _teachers(claims)
    with _bar(console) as bar:
        for trial, _ in _run(teachers, work, jobs):  # before two of those that need it would each train it
            console.print(f"a teacher of {trial.recipe.objective}, seed {trial.seed}, is trained", highlight=False)
        told = f"of {len(wanted)} trainings"
        line = bar.add_task(f"0 {told}", total=sum(_size(trial) for trial, _ in wanted))
        seconds: dict[str, float] = {}
        for trial, spent_seconds in _run(wanted, work, jobs):
            seconds[trial.fingerprint] = spent_seconds
            bar.update(line, advance=_size(trial), description=f"{len(seconds)} {told}")
            for found in [f for f in open_claims if _complete(f.claim, seconds)]:
                open_claims.remove(found)
                outcome = conclude(found, work)
                outcome.write(place(found, results))
                done.append(outcome)
    return done


def _wanted(claims: Sequence[Found]) -> list[tuple[Trial, tuple[Benchmark, ...]]]:
    """Every training once, with all that is to be measured on it; those of the same scenes follow one another."""
    held: dict[str, tuple[Trial, list[Benchmark]]] = {}
    for found in claims:
        for trial in trials(found.claim).values():
            held.setdefault(trial.fingerprint, (trial, []))[1].append(found.claim.benchmark)
    ordered = sorted(held.values(), key=lambda pair: str(describe(pair[0].source)))
    return [(trial, tuple(benchmarks)) for trial, benchmarks in ordered]


def _teachers(claims: Sequence[Found]) -> list[tuple[Trial, tuple[Benchmark, ...]]]:
    """Every teacher once, of which nothing is measured."""
    every = [trial for found in claims for trial in trials(found.claim).values()]
    held = {trial.teacher.fingerprint: trial.teacher for trial in every if isinstance(trial, Taught)}
    return [(teacher, ()) for teacher in held.values()]


def _size(trial: Trial) -> int:
    """What a training is expected to cost, in images."""
    return (trial.recipe.steps or 1) * (trial.recipe.batch or 1)


def _complete(claim: Claim, seconds: dict[str, float]) -> bool:
    return all(trial.fingerprint in seconds for trial in trials(claim).values())


def carry_out(trial: Trial, benchmarks: Sequence[Benchmark], work: Path) -> float:
    """One training and its measurements; returns the seconds it took. Runs in any process."""
    started = time.monotonic()
    folder = trained(trial, work)
    for benchmark in benchmarks:
        measured(folder, benchmark)
    return time.monotonic() - started


def _run(wanted: Sequence[tuple[Trial, tuple[Benchmark, ...]]], work: Path, jobs: int) -> Iterator[tuple[Trial, float]]:
    if jobs <= 1:
        yield from ((trial, carry_out(trial, benchmarks, work)) for trial, benchmarks in wanted)
        return
    threads = max(1, torch.get_num_threads() // jobs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, torch.set_num_threads, (threads,)) as pool:
        futures = {pool.submit(carry_out, trial, benchmarks, work): trial for trial, benchmarks in wanted}
        for future in as_completed(futures):
            yield futures[future], future.result()


def conclude(found: Found, work: Path) -> Outcome:
    """The outcome of a claim whose trainings are all done.

    Raises DataError when the benchmark gives no figure of the claim's name.
    """
    claim = found.claim
    folders = {at: trained(trial, work) for at, trial in trials(claim).items()}
    figures = {at: measured(folder, claim.benchmark) for at, folder in folders.items()}
    any_one = next(iter(figures.values()))
    if claim.metric not in any_one.figures:
        known = ", ".join(any_one.figures)
        raise DataError(f"{found.key}: {any_one.benchmark} has no figure {claim.metric!r}; it has {known}")
    seeds = tuple(_seed(seed, claim, figures) for seed in claim.seeds)
    difference = paired([s.difference for s in seeds], claim.metric in any_one.shares)
    costs = {role: _cost([spent(folders[role, seed]) for seed in claim.seeds]) for role in claim.roles}
    seconds = sum(spent(folder).seconds for folder in folders.values())
    return Outcome(
        key=found.key,
        contract=found.contract,
        scale=found.scale,
        claim=_asked(claim, any_one.benchmark),
        seeds=seeds,
        difference=difference,
        chance=any_one.chance.get(claim.metric),
        verdict=verdict(difference, claim.better),
        made=Made(commit(), machine(), seconds, fingerprint(claim), {name: version(name) for name in LIBRARIES}),
        costs=costs,
    )


def _asked(claim: Claim, benchmark: str) -> Asked:
    method, baseline = told(claim.method, claim.baseline), told(claim.baseline, claim.method)
    references = None
    if claim.references:
        references = told(claim.references[0], claim.method), told(claim.references[1], claim.baseline)
    return Asked(claim.says, benchmark, claim.metric, claim.better, method, baseline, references)


def _seed(seed: int, claim: Claim, figures: dict[tuple[str, int], Measurement]) -> Measured:
    values = {role: figures[role, seed].figures[claim.metric] for role in claim.roles}
    return Measured(seed=seed, **values)


def _cost(spendings: Sequence[Spent]) -> Cost:
    return Cost(
        seconds=fmean(s.seconds for s in spendings),
        images_per_second=fmean(s.images / max(s.seconds, 1e-9) for s in spendings),
        peak_bytes=max(s.peak_bytes for s in spendings),
    )


def commit() -> str:
    """The commit of the checkout that this code lies in, with a `+` where files were changed; empty outside of one."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        try:
            return subprocess.run(
                ("git", *arguments), cwd=here, capture_output=True, text=True, check=True, timeout=20
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""

    name = git("rev-parse", "--short=10", "HEAD")
    return name + ("+" if name and git("status", "--porcelain", "--untracked-files=no", ":/src", ":/tests") else "")


def _bar(console: Console) -> Progress:
    """A bar whose estimate looks back over everything: trainings end minutes apart."""
    return Progress(
        TextColumn("[bold]verify"), BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console, refresh_per_second=2,
        speed_estimate_period=24 * 3600,
    )  # fmt: skip
