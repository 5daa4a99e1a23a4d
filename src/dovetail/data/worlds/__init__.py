"""Rendered scenes whose facts are known, as a source of data."""

from dovetail.data.worlds.captions import Telling
from dovetail.data.worlds.dialogue import dialogue
from dovetail.data.worlds.edits import EDITS, Edit, counterfactual
from dovetail.data.worlds.facts import Relation, Scene, Thing
from dovetail.data.worlds.negatives import Negative, negatives
from dovetail.data.worlds.noise import Noise
from dovetail.data.worlds.questions import QUESTIONS, Question, questions
from dovetail.data.worlds.referring import Expression, referring
from dovetail.data.worlds.render import Flat, Picture, Style, render
from dovetail.data.worlds.sampling import Sampler, Vocabulary
from dovetail.data.worlds.scenes import Scenes, World, zero_shot_classes
from dovetail.data.worlds.sheet import contact_sheet
from dovetail.data.worlds.splits import SHIFTS, Split, split
from dovetail.data.worlds.styles import STYLES

__all__ = [
    "EDITS",
    "QUESTIONS",
    "SHIFTS",
    "STYLES",
    "Edit",
    "Expression",
    "Flat",
    "Negative",
    "Noise",
    "Picture",
    "Question",
    "Relation",
    "Sampler",
    "Scene",
    "Scenes",
    "Split",
    "Style",
    "Telling",
    "Thing",
    "Vocabulary",
    "World",
    "contact_sheet",
    "counterfactual",
    "dialogue",
    "negatives",
    "questions",
    "referring",
    "render",
    "split",
    "zero_shot_classes",
]
