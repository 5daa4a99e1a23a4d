"""Claims as data."""

from dataclasses import replace

import pytest

from dovetail.evaluation.claims.claim import told
from tests.evaluation.claims import small


def test_three_seeds_at_least_and_steps_that_are_counted() -> None:
    with pytest.raises(ValueError, match="at least 3 different seeds"):
        small.claim(seeds=(0, 1, 1))
    timed = replace(small.recipe(), steps=None, minutes=1.0)
    with pytest.raises(ValueError, match="baseline of a claim needs a number of steps"):
        small.claim(baseline=timed)


def test_a_teacher_is_declared_where_one_is_named() -> None:
    pupil, teacher = small.recipe("distillation(teacher='{teacher}')"), small.recipe(steps=3)
    assert small.claim(pupil, teacher=teacher).teacher == teacher
    with pytest.raises(ValueError, match=r"method of a claim has a teacher, .*'\{teacher\}'\): declare it"):
        small.claim(pupil)
    with pytest.raises(ValueError, match="teacher of a claim has a teacher"):
        small.claim(pupil, teacher=pupil)
    with pytest.raises(ValueError, match="teacher of a claim needs a number of steps"):
        small.claim(pupil, teacher=replace(teacher, steps=None))


def test_the_roles() -> None:
    one, other = small.recipe(steps=5), small.recipe("siglip", steps=6)
    assert list(small.claim().roles) == ["method", "baseline"]
    roles = small.claim(references=(one, other)).roles
    assert roles["method_reference"] == one and roles["baseline_reference"] == other


def test_a_recipe_is_told_by_what_differs() -> None:
    plain = small.recipe()
    assert told(plain, plain) == "infonce, 2 steps of 4"
    split = replace(plain, batch=8, settings=replace(plain.settings, accumulate=4))
    assert told(split, plain) == "infonce, 2 steps of 8, each loss over 2"
    assert told(plain, split) == "infonce, 2 steps of 4, each loss over 4"
    assert told(replace(plain, image="timm:resnet18"), plain) == "infonce, 2 steps of 4, image timm:resnet18"
