"""A claim as data: what a paper says its method does, and the experiment that would show it."""

from dataclasses import dataclass

from dovetail.contracts import Benchmark
from dovetail.evaluation.claims.outcome import Better
from dovetail.evaluation.claims.sources import Source
from dovetail.training.recipe import Recipe

LEAST_SEEDS = 3
TEACHER = "{teacher}"
"""What stands in an objective for the folder of the claim's teacher."""


@dataclass(frozen=True)
class Claim:
    """Train `method` and `baseline` alike, measure both, compare.

    says: the claim in one sentence. method, baseline: what differs between them is what is claimed about; all else is
    equal by being written once. metric: the figure of `benchmark` that decides. references: recipes from which the
    method's and the baseline's change is measured, for a claim such as "loses less when ...". teacher: a recipe that is
    trained first, by the same seed, and whose model an objective names as `{teacher}`. Scenes are drawn anew for every
    seed, which is why `benchmark` must measure on scenes of a seed that is not among `seeds`.

    Raises ValueError for fewer than three seeds, for recipes that do not count their steps, and for a `{teacher}` that
    is not declared.
    """

    says: str
    method: Recipe
    baseline: Recipe
    train: Source
    benchmark: Benchmark
    metric: str
    better: Better = "higher"
    references: tuple[Recipe, Recipe] | None = None
    teacher: Recipe | None = None
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if len(set(self.seeds)) < LEAST_SEEDS:
            raise ValueError(f"a claim needs at least {LEAST_SEEDS} different seeds, not {self.seeds}")
        teacher = {"teacher": self.teacher} if self.teacher else {}
        for role, recipe in {**self.roles, **teacher}.items():
            if TEACHER in recipe.objective and (role == "teacher" or not teacher):
                raise ValueError(f"the {role} of a claim has a teacher, {recipe.objective}: declare it in `teacher`")
            if recipe.steps is None:
                raise ValueError(f"the {role} of a claim needs a number of steps: time is not the same everywhere")

    @property
    def roles(self) -> dict[str, Recipe]:
        """The recipes by what they are in the claim, named as in `Measured`."""
        roles = {"method": self.method, "baseline": self.baseline}
        if self.references:
            roles |= dict(zip(("method_reference", "baseline_reference"), self.references, strict=True))
        return roles


@dataclass(frozen=True)
class Found:
    """A claim and the method it is about."""

    key: str
    contract: str
    scale: str
    claim: Claim


def told(recipe: Recipe, other: Recipe) -> str:
    """A recipe in a few words: its objective, and whatever differs from `other`."""
    parts = [recipe.objective, f"{recipe.steps:,} steps of {recipe.batch}"]
    micro, others = recipe.settings.accumulate, other.settings.accumulate
    if micro != others or micro > 1:
        parts.append(f"each loss over {(recipe.batch or 0) // micro}")
    for name in ("size", "image", "text", "captions_per_image", "sub_captions"):
        if getattr(recipe, name) != getattr(other, name):
            parts.append(f"{name.replace('_', ' ')} {getattr(recipe, name)}")
    return ", ".join(parts)
