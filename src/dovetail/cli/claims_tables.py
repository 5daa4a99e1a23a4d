"""What was measured of the claims, as Markdown for the method pages, their index and the README."""

from collections.abc import Sequence

from dovetail.data.records import DataError
from dovetail.evaluation.claims.outcome import Asked, Measured, Outcome
from dovetail.evaluation.comparison import duration, signed
from dovetail.evaluation.report.texts import escaped

BEGIN, END = "<!-- claims -->", "<!-- /claims -->"
NONE = "No claim has been measured yet."
MEANING = {
    "reproduced": "the 95 % interval of the difference excludes zero, in the direction that was claimed",
    "no difference": "the 95 % interval of the difference includes zero; this budget shows the claim neither true nor "
    "false",
    "reversed": "the 95 % interval of the difference excludes zero, in the direction opposite to the claim",
}


def measured(found: Sequence[Outcome]) -> str:
    """The section of a method's page: each claim with its values, its difference, its verdict and how to repeat it."""
    return "\n\n".join(["## What was measured", *([_claim(outcome) for outcome in found] or [NONE])])


def index_table(found: Sequence[Outcome], links: dict[tuple[str, str], str]) -> str:
    """All claims in one table; links: the page of a method by its contract and key, where it has one."""
    if not found:
        return NONE
    rows = [
        f"| {_linked(o, links)} | {escaped(o.claim.says)} | {escaped(o.claim.metric)}, {escaped(o.claim.benchmark)} "
        f"| {_difference(o)} | {o.verdict} |"
        for o in found
    ]
    return "| method | what was claimed | measured as | difference | verdict |\n|---|---|---|---|---|\n" + "\n".join(
        rows
    )


def readme(text: str, found: Sequence[Outcome], links: dict[tuple[str, str], str]) -> str:
    """The README with the table of claims between its two markers.

    Raises DataError when a marker is missing, there twice, or the second stands before the first.
    """
    for marker in (BEGIN, END):
        if text.count(marker) != 1:
            raise DataError(
                f"README.md: the line {marker} is there {text.count(marker)} times, not once; the table of claims is "
                f"written between {BEGIN} and {END}, each on a line of its own"
            )
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    if END in before:
        raise DataError(f"README.md: {END} stands before {BEGIN}; the table of claims is written between them")
    return f"{before}{BEGIN}\n{_short_table(found, links)}\n{END}{after}"


def _short_table(found: Sequence[Outcome], links: dict[tuple[str, str], str]) -> str:
    if not found:
        return NONE
    rows = [f"| {_linked(o, links)} | {escaped(o.claim.says)} | {_difference(o)} | {o.verdict} |" for o in found]
    return "| method | claim | difference | verdict |\n|---|---|---|---|\n" + "\n".join(rows)


def _claim(o: Outcome) -> str:
    unit = ", in percent" if o.difference.share else ""
    chance = "" if o.chance is None else f" Chance is {_number(o, o.chance)}."
    asked, commit = o.claim, o.made.commit or "unknown"
    return "\n\n".join(
        [
            f"> {escaped(asked.says)}",
            f"Measured as {escaped(asked.metric)} ({asked.better} is better{unit}) "
            f"in {escaped(asked.benchmark)}.{chance}",
            "\n".join(_sides(asked)),
            _seeds(o),
            f"Difference: {signed(o.difference)}{_points(o)}. "
            f"Verdict: **{o.verdict}**: {MEANING[o.verdict]}.{_floor(o)}",
            f"On {escaped(o.made.device)}, {duration(o.made.seconds)} in all, at commit `{commit}`. Again:",
            f"```\ndovetail verify {o.key}{'' if o.scale == 'cpu' else f' --scale {o.scale}'}\n```",
        ]
    )


def _sides(asked: Asked) -> list[str]:
    sides = [f"- Method: {escaped(asked.method)}", f"- Baseline: {escaped(asked.baseline)}"]
    if asked.references:
        sides = [f"{side}; from {escaped(start)}" for side, start in zip(sides, asked.references, strict=True)]
    return sides


def _floor(o: Outcome) -> str:
    return " Neither is above chance, so this shows nothing about the method." if o.at_chance else ""


def _seeds(o: Outcome) -> str:
    """A row a seed and one of means; with a reference, each side is written as where it started and where it came."""
    rows = [
        f"| {m.seed} | {_from_to(o, m.method_reference, m.method)} | {_from_to(o, m.baseline_reference, m.baseline)} "
        f"| {_number(o, m.difference, '+')} |"
        for m in o.seeds
    ]
    means = (_number(o, o.method_mean), _number(o, o.baseline_mean), _number(o, o.difference.value, "+"))
    mean = f"| mean | {' | '.join(means)} |"
    head = "| seed | method | baseline | difference |"
    note = "\n\nAn arrow leads from the reference to the figure; the difference is that of the two changes."
    return "\n".join([head, "|---|---|---|---|", *rows, mean]) + (note if any(map(_changes, o.seeds)) else "")


def _changes(m: Measured) -> bool:
    return m.method_reference is not None or m.baseline_reference is not None


def _from_to(o: Outcome, reference: float | None, value: float) -> str:
    return _number(o, value) if reference is None else f"{_number(o, reference)} → {_number(o, value)}"


def _number(o: Outcome, value: float, sign: str = "") -> str:
    """In the unit of the figure: percent, or as it is, with a place more for small numbers."""
    scaled = 100 * value if o.difference.share else value
    places = 1 if o.difference.share or abs(scaled) >= 10 else 2
    return f"{scaled:{sign},.{places}f}".replace("-", "−")


def _difference(o: Outcome) -> str:
    return f"{signed(o.difference)}{_points(o)}"


def _points(o: Outcome) -> str:
    return " points" if o.difference.share else ""


def _linked(o: Outcome, links: dict[tuple[str, str], str]) -> str:
    page = links.get((o.contract, o.key))
    name = f"[`{o.key}`]({page})" if page else f"`{o.key}`"
    return name if o.scale == "cpu" else f"{name} ({o.scale})"
