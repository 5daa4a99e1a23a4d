"""Run the experiments behind the methods' claims, and write what came out."""

from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from dovetail.data.records import DataError
from dovetail.evaluation.claims.finding import claims, root
from dovetail.evaluation.claims.outcome import Outcome, read
from dovetail.evaluation.claims.runner import place, stale
from dovetail.evaluation.claims.runner import verify as run
from dovetail.evaluation.comparison import duration, signed
from dovetail.training.run import has_gpu


def verify(
    methods: list[str],
    all: bool = False,
    contract: str | None = None,
    scale: Literal["cpu", "gpu"] = "cpu",
    jobs: int = 1,
    force: bool = False,
    dry_run: bool = False,
    results: Path | None = None,
    work: Path = Path("runs/verify"),
) -> None:
    """Run the experiments behind the methods' claims, and write what came out.

    A claim lies in the test file of its method. It is run if it was never measured, or if its description or any code
    that it depends on has changed since; trainings that several claims need are made once. A killed call goes on where
    it was.

    Args:
        methods: as `dovetail methods` lists them.
        all: every claim there is.
        contract: the claims of all methods of a contract, such as PairLoss.
        scale: cpu (minutes on two cores) or gpu; the claims of the latter need one.
        jobs: trainings at a time, each with its share of the cores.
        force: run also what has not changed.
        dry_run: say what would be run, and run nothing.
        results: where the outcomes are written; by default the checkout's results/.
        work: where trainings are kept.
    """
    if scale == "gpu" and not has_gpu():
        raise DataError("--scale gpu: there is no GPU here; run it on a machine that has one")
    if jobs < 1:
        raise DataError(f"--jobs {jobs}: give a number above 0")
    results = results or root() / "results"
    console = Console(stderr=True)
    found = claims(methods, contract, all, scale)
    due = [claim for claim in found if force or stale(claim, results)]
    fresh = [outcome for claim in found if claim not in due and (outcome := read(place(claim, results)))]
    if fresh:
        console.print(f"unchanged since they were measured: {', '.join(outcome.key for outcome in fresh)}")
    if dry_run:
        console.print(f"to be run: {', '.join(claim.key for claim in due) or 'nothing'}")
        return
    done = run(due, results, work, jobs, console) if due else []
    if done or fresh:
        every = sorted([*fresh, *done], key=lambda outcome: outcome.key)
        Console().print(table(every))
        for outcome in every:
            said = f"{outcome.key}: {outcome.claim.says} [bold]{outcome.verdict}[/]{floor(outcome)}"
            Console().print(said, highlight=False)
    if done:
        console.print("`dovetail docs` writes them into the documentation and the README", highlight=False)


def table(outcomes: list[Outcome]) -> Table:
    """A row a claim; shares in percent."""
    shown = Table("claim", "method", "baseline", "difference (95 % interval)", "trained", box=None)
    for outcome in outcomes:
        scaled = 100 if outcome.difference.share else 1
        values = (f"{scaled * x:.1f}" for x in (outcome.method_mean, outcome.baseline_mean))
        shown.add_row(outcome.key, *values, signed(outcome.difference), duration(outcome.made.seconds))
    return shown


def floor(outcome: Outcome) -> str:
    """A caution where the experiment cannot tell, since nobody learnt what is measured."""
    return " (neither is above chance: this shows nothing about the method)" if outcome.at_chance else ""
