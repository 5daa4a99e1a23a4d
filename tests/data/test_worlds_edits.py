"""Edited scenes compared with what they were, field by field, and instructions read back."""

import hashlib
import re
from collections import Counter
from dataclasses import astuple, fields

import numpy as np
import pytest

from dovetail.data.records import DataError
from dovetail.data.worlds import Edit, Flat, Sampler, Scene, Thing, Vocabulary, counterfactual
from dovetail.data.worlds.tasks.edits import EDITS
from tests.data import world_reader as reader

SAMPLERS = ((110, Sampler()), (40, Sampler((3, 5), alike=0.3, writing=0.5, motion=0.5)))
CASES = [(s, counterfactual(s, (k, i))) for k, (n, f) in enumerate(SAMPLERS) for i in range(n) for s in [f(k, i)]]
FIELDS = {
    "colour": {"colour"},
    "shape": {"shape"},
    "size": {"size", "radius"},
    "texture": {"texture"},
    "place": {"x", "y"},
}


def differing(a: Thing, b: Thing) -> set[str]:
    return {f.name for f, one, other in zip(fields(Thing), astuple(a), astuple(b), strict=True) if one != other}


def edited(before: Scene, after: Scene) -> tuple[Thing, Thing]:
    """The thing that is not as it was. Fails where it is not the only one."""
    ((old, new),) = reader.changes(before.things, after.things)
    assert isinstance(old, Thing) and isinstance(new, Thing)
    return old, new


def test_exactly_one_fact_is_edited() -> None:
    for before, edit in CASES:
        after = edit.scene
        if edit.what != "background":
            assert after.background == before.background
        assert (after.writing, after.viewpoint) == (before.writing, before.viewpoint)
        if edit.what == "background":
            assert after.things == before.things and after.background != before.background
        elif edit.what == "removed":
            assert len(after.things) == len(before.things) - 1 and set(after.things) < set(before.things)
            assert [t for t in before.things if t in after.things] == list(after.things)
        elif edit.what == "added":
            assert after.things[:-1] == before.things
        else:
            old, new = edited(before, after)
            assert differing(old, new) <= FIELDS[edit.what] and getattr(old, edit.what) != getattr(new, edit.what), edit
    assert min(Counter(edit.what for _, edit in CASES)[what] for what in EDITS) > 5


def named(before: Scene, edit: Edit) -> Thing:
    """The thing that the instruction speaks of."""
    found = re.match(rf"(?:make|turn|remove|move) the ({reader.NOUN_PHRASE})\b", edit.instruction)
    assert found, edit.instruction
    return reader.only(before, found[1])


def test_instructions_say_what_was_done() -> None:
    for before, edit in CASES:
        last = edit.instruction.split()[-1]
        if edit.what == "background":
            assert edit.instruction == f"change the background to {last}"
            assert last.replace("gray", "grey") == edit.scene.background
        elif edit.what == "added":
            noun, place = re.fullmatch(rf"add an? ({reader.NOUN_PHRASE}) ({reader.PLACE})", edit.instruction).groups()
            assert edit.scene.things[-1] in reader.fitting(edit.scene, reader.facts_of(noun)), edit.instruction
            assert reader.lies(edit.scene.things[-1], place, strictly=True), edit.instruction
        elif edit.what == "removed":
            assert {named(before, edit)} == set(before.things) - set(edit.scene.things)
        else:
            old, new = edited(before, edit.scene)
            assert named(before, edit) == old, edit.instruction
            if edit.what == "place":
                assert reader.lies(new, edit.instruction.split(" so that it is ")[1], strictly=True), edit.instruction
            elif edit.what == "shape":
                assert reader.facts_of(last) == {"shape": new.shape}, edit.instruction
            else:
                assert reader.ADJECTIVES[last] == (edit.what, getattr(new, edit.what)), edit.instruction


def test_captions_tell_the_edited_scene() -> None:
    for _, edit in CASES:
        listed = reader.phrases(edit.caption.split(". ")[0])
        listed = [(count, facts) for count, facts in listed if "shape" in facts]
        assert sum(count for count, _ in listed) == len(edit.scene.things), edit.caption
        assert all(len(reader.fitting(edit.scene, facts)) >= count for count, facts in listed), edit.caption
        assert edit.scene.background in edit.caption.replace("gray", "grey")


def test_nothing_touches() -> None:
    for _, edit in CASES:
        things = edit.scene.things
        bottom = 1000 if edit.scene.writing is None else 840
        for index, a in enumerate(things):
            assert a.radius <= min(a.x, a.y) and a.x + a.radius <= 1000 and a.y + a.radius <= bottom, edit
            for b in things[:index]:
                assert (a.x - b.x) ** 2 + (a.y - b.y) ** 2 >= (a.radius + b.radius) ** 2, edit


def test_only_the_edited_part_of_the_picture_changes() -> None:
    for before, edit in CASES[:60]:
        one, other = Flat()(before, 48), Flat()(edit.scene, 48)
        changed = (one.image != other.image).any(-1)
        assert changed.any(), edit.instruction
        if edit.what == "background":
            continue
        kept = [k for k, thing in enumerate(before.things) if thing in edit.scene.things]
        assert not changed[np.isin(one.mask, [k + 1 for k in kept])].any(), edit.instruction
        assert {one.boxes[k] for k in kept} <= set(other.boxes)


def test_sizes_are_those_of_the_sampler() -> None:
    """A thing that is made large is as large as one that was drawn so."""
    drawn = {t.size: t.radius for i in range(50) for t in Sampler((1, 1))(3, i).things}
    sizes = [
        edit.scene.things[0] for i in range(20) for edit in [counterfactual(Sampler((1, 1))(3, i), (3, i), ("size",))]
    ]
    assert all(abs(thing.radius - drawn[thing.size]) < 25 for thing in sizes)
    assert {thing.size for thing in sizes} == {"small", "medium", "large"}


def test_kinds_and_words_can_be_chosen() -> None:
    vocabulary = Vocabulary(shapes=("circle", "star"), colours=("red", "blue")).without("blue star")
    sampler = Sampler((2, 3), vocabulary)
    for index in range(40):
        edit = counterfactual(sampler(2, index), (2, index), ("colour", "shape", "added", "removed"), vocabulary)
        assert edit.what in ("colour", "shape", "added", "removed")
        assert all(thing.name in vocabulary.names for thing in edit.scene.things)
    assert counterfactual(sampler(2, 0), (2, 0)) == counterfactual(sampler(2, 0), (2, 0))
    lone = Sampler((1, 1))(0, 0)
    with pytest.raises(DataError, match="nothing to edit among removed"):
        counterfactual(lone, (0, 0), ("removed",))
    with pytest.raises(DataError, match="unknown kinds of edits: coulour; there are colour"):
        counterfactual(lone, (0, 0), ("coulour",))


def test_texts_are_pinned() -> None:
    text = "\n".join(f"{e.instruction}/{e.scene.identity}" for _, e in CASES)
    assert hashlib.sha256(text.encode()).hexdigest() == GOLDEN


GOLDEN = "0da0712acd962167cb05a4af26a568433ff47ef55570c3da9da9b988dafd0ad2"
