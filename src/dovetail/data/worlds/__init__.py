"""Rendered scenes whose facts are known, as a source of data."""

from dovetail.data.worlds.facts import Relation, Scene, Thing
from dovetail.data.worlds.render import Picture, render
from dovetail.data.worlds.sampling import Sampler, Vocabulary
from dovetail.data.worlds.scenes import Scenes, zero_shot_classes
from dovetail.data.worlds.sheet import contact_sheet

__all__ = [
    "Picture",
    "Relation",
    "Sampler",
    "Scene",
    "Scenes",
    "Thing",
    "Vocabulary",
    "contact_sheet",
    "render",
    "zero_shot_classes",
]
