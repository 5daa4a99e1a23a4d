"""Rendered scenes whose facts are known, as a source of data."""

from dovetail.data.worlds.facts import Relation, Scene, Thing
from dovetail.data.worlds.pictures.render import Flat, Picture, Style, render
from dovetail.data.worlds.pictures.solid import Solid
from dovetail.data.worlds.pictures.styles import STYLES
from dovetail.data.worlds.pictures.textured import Textured
from dovetail.data.worlds.pictures.video import Video, video
from dovetail.data.worlds.sampling import Sampler, Vocabulary
from dovetail.data.worlds.scenes import Scenes, World, zero_shot_classes
from dovetail.data.worlds.sheet import contact_sheet
from dovetail.data.worlds.splits import SHIFTS, Split, split
from dovetail.data.worlds.tasks.dialogue import dialogue
from dovetail.data.worlds.tasks.edits import EDITS, Edit, counterfactual
from dovetail.data.worlds.tasks.negatives import Negative, negatives
from dovetail.data.worlds.tasks.questions import QUESTIONS, Question, questions
from dovetail.data.worlds.tasks.referring import Expression, referring
from dovetail.data.worlds.words.captions import Telling
from dovetail.data.worlds.words.noise import Noise

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
    "Solid",
    "Split",
    "Style",
    "Telling",
    "Textured",
    "Thing",
    "Video",
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
    "video",
    "zero_shot_classes",
]
