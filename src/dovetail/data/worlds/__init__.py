"""Rendered scenes whose facts are known, as a source of data."""

from dovetail.data.worlds.captions import Telling
from dovetail.data.worlds.facts import Relation, Scene, Thing
from dovetail.data.worlds.render import Flat, Picture, Style, render
from dovetail.data.worlds.sampling import Sampler, Vocabulary
from dovetail.data.worlds.scenes import Scenes, World, zero_shot_classes
from dovetail.data.worlds.sheet import contact_sheet

__all__ = [
    "Flat",
    "Picture",
    "Relation",
    "Sampler",
    "Scene",
    "Scenes",
    "Style",
    "Telling",
    "Thing",
    "Vocabulary",
    "World",
    "contact_sheet",
    "render",
    "zero_shot_classes",
]
