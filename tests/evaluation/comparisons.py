"""Comparisons of made-up contenders, for the tests of what is concluded and shown."""

from collections.abc import Mapping

from dovetail.evaluation.comparison import Comparison, Contender
from dovetail.evaluation.intervals import Estimate

MAIN = "mean_recall"


def share(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, share=True)


def contender(name: str, main: Estimate, seeds: int = 1, curve: tuple[tuple[float, float], ...] = ()) -> Contender:
    """All contenders cost the same unless they are replaced."""
    figures = {MAIN: main, "text_to_image/median_rank": Estimate(40.0, 35.0, 45.0)}
    per_seed = {name: tuple(e.value + 0.01 * i for i in range(seeds)) for name, e in figures.items()}
    return Contender(name, figures, per_seed, 600.0, 500.0, 1_600_000_000, 5_000_000, 2_000, 256_000, curve)


def comparison(differences: Mapping[str, Estimate], seeds: int = 1, chance: float | None = 0.01) -> Comparison:
    """infonce at 10 %, and challengers that differ from it as told."""
    line = tuple((60.0 * i, 2.0 * i) for i in range(5))
    every = [contender("infonce", share(0.10, 0.08, 0.12), seeds, line)]
    for name, difference in differences.items():
        main = share(0.10 + difference.value, 0.08 + difference.value, 0.12 + difference.value)
        every.append(contender(name, main, seeds, line))
    apart = {name: {MAIN: difference} for name, difference in differences.items()}
    about = {"data": "photos.csv", "budget": "10 minutes each"}
    return Comparison(tuple(every), MAIN, {} if chance is None else {MAIN: chance}, apart, seeds, about)


AHEAD, BEHIND, OPEN = share(0.021, 0.004, 0.039), share(-0.032, -0.054, -0.01), share(0.003, -0.012, 0.018)
