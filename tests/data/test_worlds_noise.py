"""Noise at its stated rates, false where it must be."""

from dataclasses import asdict

import pytest

from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scene, Thing, Vocabulary
from dovetail.data.worlds.words.captions import Captions, Telling, captions
from dovetail.data.worlds.words.languages import LANGUAGES
from dovetail.data.worlds.words.mistakes import holds
from dovetail.data.worlds.words.noise import SORTS, Noise, noisy
from dovetail.data.worlds.words.plan import DEFAULT, HIERARCHICAL, TELLS, plan
from tests.data.scenes import SCENES

RATES = Noise(wrong=0.25, vague=0.15, swapped=0.2, missing=0.1, duplicated=0.05)


def told(noise: Noise, **knobs: object) -> list[Captions]:
    return [captions(scene, (11, i), Telling(TELLS, noise, **knobs)) for i, scene in enumerate(SCENES)]


def test_every_sort_comes_at_its_rate() -> None:
    counts, total = dict.fromkeys(SORTS, 0), 0
    for index, scene in enumerate(SCENES):
        for said in noisy(scene, (11, index), TELLS, RATES, Sampler()):
            total += 1
            if said.noise:
                counts[said.noise] += 1
    for sort, rate in asdict(RATES).items():
        assert abs(counts[sort] / total - rate) <= 4 * (rate * (1 - rate) / total) ** 0.5, sort


@pytest.mark.parametrize("sort", SORTS)
def test_statements_are_false_where_they_must_be(sort: str) -> None:
    for index, scene in enumerate(SCENES[:15]):
        true = plan(scene, (11, index), TELLS)
        assert all(holds(statement, scene) for _, statement in true)
        for said, (tell, before) in zip(
            noisy(scene, (11, index), TELLS, Noise(**{sort: 1.0}), Sampler()), true, strict=True
        ):
            assert (said.tell, said.noise) == (tell, sort)
            assert holds(said.statement, scene) == (sort not in ("wrong", "swapped")), said
            assert (said.statement == before) == (sort in ("missing", "duplicated")), said


def test_captions_say_what_hit_them() -> None:
    clean = told(Noise())
    assert all(c.wrong == () and set(c.noise) == {None} for c in clean)
    for plain, missing, doubled in zip(clean, told(Noise(missing=1.0)), told(Noise(duplicated=1.0)), strict=True):
        assert missing.texts == missing.noise == missing.tells == ()
        assert doubled.texts[::2] == doubled.texts[1::2] == plain.texts
        assert doubled.noise == (None, "duplicated") * len(plain.texts)
        assert doubled.wrong == ()
    for plain, mixed in zip(clean, told(RATES), strict=True):
        assert mixed.wrong == tuple(i for i, hit in enumerate(mixed.noise) if hit in ("wrong", "swapped"))
        assert len(mixed.texts) == len(mixed.noise) == len(mixed.tells)
        assert set(mixed.tells) <= set(plain.tells)


def test_noise_leaves_other_captions_as_they_were() -> None:
    for plain, noisy_ in zip(told(Noise()), told(Noise(missing=0.4)), strict=True):
        left = iter(plain.texts)
        assert all(text in left for text in noisy_.texts)  # in the same order


def test_swapped_captions_are_those_of_other_scenes() -> None:
    world = Sampler((1, 2), Vocabulary(colours=("red",), shapes=("star", "ring")))
    for index in range(20):
        scene = world(3, index)
        texts = captions(scene, (3, index), Telling(noise=Noise(swapped=1.0)), world).texts
        assert all("red" in c.text and ("star" in c.text or "ring" in c.text) for c in texts)


def test_scenes_that_are_all_alike_get_mistakes_instead() -> None:
    scene = Scene((Thing("star", "red", "small", "plain", 500, 500, 130),), "white")
    said = noisy(scene, (0, 0), DEFAULT, Noise(swapped=1.0), lambda seed, index: scene)
    assert [s.noise for s in said] == ["swapped"] * 4
    assert not any(holds(s.statement, scene) for s in said)


def test_bad_rates() -> None:
    for knobs in ({"wrong": 1.5}, {"vague": -0.1}):
        with pytest.raises(DataError, match="between 0 and 1"):
            Noise(**knobs)
    with pytest.raises(DataError, match="at most 1 together"):
        Noise(wrong=0.6, vague=0.6)


def test_bad_tellings() -> None:
    with pytest.raises(DataError, match="unknown kinds of captions: lies"):
        Telling(tells=("lies",))
    with pytest.raises(DataError, match="no languages"):
        Telling(languages=())
    with pytest.raises(DataError, match="rare=2"):
        Telling(rare=2)


def test_new_kinds_and_languages_leave_the_usual_captions_as_they_were() -> None:
    for index, scene in enumerate(SCENES):
        usual = captions(scene, (11, index)).texts
        more = captions(scene, (11, index), Telling((*DEFAULT, *HIERARCHICAL), languages=tuple(LANGUAGES.values())))
        assert more.texts[: len(usual)] == usual
        kinds = (*DEFAULT, "summary", "objects", "parts")
        assert tuple(dict.fromkeys(more.tells)) == tuple(k for k in kinds if k in more.tells)
        alone = captions(scene, (11, index), Telling(("parts",))).texts
        assert alone == tuple(
            c for c, t in zip(more.texts, more.tells, strict=True) if t == "parts" and c.language == "en"
        )
