"""Things as solids: the outline of a shape, made thick and with rounded edges, as a signed distance in space."""

from dataclasses import dataclass

import numpy as np

from dovetail.data.worlds.facts import Thing
from dovetail.data.worlds.pictures import shapes
from dovetail.data.worlds.pictures.camera import Space, Vector
from dovetail.data.worlds.pictures.render import turn
from dovetail.data.worlds.pictures.shapes import Plane

THICK = 66.0  # the same for all, in the scene's unit, so that of two things the nearer one's face is nearer
_ROUND = 0.1  # radius of an edge, in the thing's own unit
_STEPS = 20
_NEAR = 0.004  # a ray this close to the surface has hit it


@dataclass(frozen=True)
class Relief:
    """A thing with its back `lift` in front of the wall (in the scene's unit).

    Its own unit: the thing's circle is the unit disc, z = 0 the middle of its thickness.
    """

    thing: Thing
    lift: float

    @property
    def low(self) -> Vector:
        """The least corner of the box around it, in the scene's unit."""
        t = self.thing
        return t.x - t.radius, t.y - t.radius, self.lift

    @property
    def high(self) -> Vector:
        """The greatest corner."""
        t = self.thing
        return t.x + t.radius, t.y + t.radius, self.lift + THICK

    @property
    def middle(self) -> float:
        """Height of its middle over the wall, in the scene's unit."""
        return self.lift + THICK / 2

    @property
    def _flat(self) -> float:
        """Half of the thickness, less the rounding."""
        return THICK / 2 / self.thing.radius - _ROUND

    def own(self, at: Space) -> Space:
        """Points of the scene in the thing's own, turned unit."""
        x, y = (at.x - self.thing.x) / self.thing.radius, (at.y - self.thing.y) / self.thing.radius
        return Space(*self._turned(x, y), (at.z - self.middle) / self.thing.radius)

    def _turned(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        c, s = turn(self.thing.rotation)
        return x * c + y * s, y * c - x * s

    def outline(self, x: Plane, y: Plane) -> Plane:
        """Signed distance to the outline, seen from the front, in its own unit."""
        return shapes.SIGNED_DISTANCE[self.thing.shape](x, y)

    def distance(self, at: Space) -> Plane:
        """Signed distance to the surface, in its own unit: the outline extruded, then rounded."""
        side, face = self.outline(at.x, at.y) + _ROUND, np.abs(at.z) - self._flat
        outside_side, outside_face = np.maximum(side, 0.0), np.maximum(face, 0.0)
        corner = np.sqrt(outside_side * outside_side + outside_face * outside_face)
        return corner + np.minimum(np.maximum(side, face), 0.0) - _ROUND

    def hit(self, start: Vector, rays: Space) -> Plane:
        """How far along each ray (unit vectors) the surface is, in the scene's unit; infinite where it is missed.

        Sphere tracing (Hart, "Sphere tracing", 1996) between the two planes that the solid lies between.
        """
        directions = [r.reshape(1, -1) for r in rays]
        along = ((self.high[2] - start[2]) / directions[2]).astype(np.float32)
        end = (self.low[2] - start[2]) / directions[2]
        near = np.full_like(along, np.inf)
        alive = np.arange(along.size)
        for _ in range(_STEPS):
            t = along[:, alive]
            at = Space(*((s + r[:, alive] * t).astype(np.float32) for s, r in zip(start, directions, strict=True)))
            gap = self.distance(self.own(at))
            found = gap[0] < _NEAR
            near[:, alive[found]] = t[:, found]
            along[:, alive] = t + np.maximum(gap, _NEAR) * self.thing.radius
            alive = alive[~found & (along[0, alive] < end[0, alive])]
            if not alive.size:
                break
        return near.reshape(rays.z.shape)

    def normal(self, at: Space) -> Space:
        """The surface's direction at points near it (own unit), in the scene's axes."""
        step = np.float32(0.01)
        outline = self.outline(at.x, at.y)
        gx = (self.outline(at.x + step, at.y) - self.outline(at.x - step, at.y)) / (2 * step)
        gy = (self.outline(at.x, at.y + step) - self.outline(at.x, at.y - step)) / (2 * step)
        side, face = np.maximum(outline + _ROUND, 0.0), np.maximum(np.abs(at.z) - self._flat, 0.0)
        x, y, z = gx * side, gy * side, np.where(at.z < 0, -face, face)
        length = np.sqrt(x * x + y * y + z * z) + np.float32(1e-6)
        c, s = turn(self.thing.rotation)
        return Space((x * c - y * s) / length, (y * c + x * s) / length, z / length)
