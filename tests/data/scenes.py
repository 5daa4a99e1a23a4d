"""Scenes of the default sampler, some with things alike, a motion, a word, another viewpoint."""

from dataclasses import replace

from dovetail.data.worlds import Sampler, Scene
from dovetail.data.worlds.facts import MOTIONS, VIEWPOINTS
from dovetail.data.worlds.pictures.lettering import WORDS_WRITTEN


def _scene(index: int) -> Scene:
    scene = Sampler()(11, index)
    first, *rest = scene.things
    first = replace(first, motion=MOTIONS[index % len(MOTIONS)])
    again = [replace(first, x=first.y, y=first.x, motion=None)] if index % 3 == 0 and first.x != first.y else []
    word = WORDS_WRITTEN[index % len(WORDS_WRITTEN)] if index % 2 else None
    return Scene((first, *rest, *again), scene.background, word, VIEWPOINTS[index % len(VIEWPOINTS)])


SCENES = [_scene(index) for index in range(40)]
