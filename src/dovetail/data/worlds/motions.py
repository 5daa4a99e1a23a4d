"""Motions: how far a thing can go without leaving the picture or touching another, and where it is on the way."""

from dataclasses import replace

from dovetail.data.worlds.facts import UNIT, Scene, Thing
from dovetail.data.worlds.pictures.lettering import ground

_DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_STEP, _FAR, _LEAST = 10, 320, 120  # of a path, in the scene's unit
_GROWN, _LEAST_GROWN, _SHRUNK = 60, 25, -40  # per cent of the radius
_TURN = 120  # degrees, clockwise


def extent(scene: Scene, thing: Thing, motion: str) -> int:
    """How far `thing` can go by `motion`: a length, degrees or per cent of its radius; 0 where it could not be seen.

    A path ends before the edge, the written word and the circle around any other thing.
    """
    if motion == "turning":
        return 0 if thing.shape in ("circle", "ring") and thing.texture == "plain" else _TURN
    if motion == "shrinking":
        return _SHRUNK
    step, most, least = (5, _GROWN, _LEAST_GROWN) if motion == "growing" else (_STEP, _FAR, _LEAST)
    others = [(t.x, t.y, t.radius) for t in scene.things if t is not thing]
    free = 0
    while free < most and _fits(_circle(thing, motion, free + step), others, ground(scene.writing)):
        free += step
    return free if free >= least else 0


def after(scene: Scene, part: int, whole: int) -> Scene:
    """The scene when `part` of `whole` of its motion is over: `after(scene, 0, 7)` is the scene itself."""
    things = (t if t.motion is None else _on_the_way(scene, t, part, whole) for t in scene.things)
    return replace(scene, things=tuple(things))


def _on_the_way(scene: Scene, thing: Thing, part: int, whole: int) -> Thing:
    return _moved(thing, thing.motion, extent(scene, thing, thing.motion) * part // whole) if thing.motion else thing


def _moved(thing: Thing, motion: str, amount: int) -> Thing:
    if motion == "turning":
        return replace(thing, rotation=thing.rotation + amount)
    x, y, radius = _circle(thing, motion, amount)
    return replace(thing, x=x, y=y, radius=radius)


def _circle(thing: Thing, motion: str, amount: int) -> tuple[int, int, int]:
    """Where the circle around the thing is after `amount` of its motion, and its radius."""
    if motion in _DIRECTIONS:
        across, down = _DIRECTIONS[motion]
        return thing.x + across * amount, thing.y + down * amount, thing.radius
    return thing.x, thing.y, thing.radius * (100 + amount) // 100


def _fits(circle: tuple[int, int, int], others: list[tuple[int, int, int]], bottom: int) -> bool:
    x, y, radius = circle
    inside = radius <= min(x, y) and x + radius <= UNIT and y + radius <= bottom
    return inside and all((x - a) ** 2 + (y - b) ** 2 >= (radius + r) ** 2 for a, b, r in others)
