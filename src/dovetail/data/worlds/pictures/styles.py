"""The styles by name."""

from dovetail.data.worlds.pictures.render import Flat, Style
from dovetail.data.worlds.pictures.solid import Solid
from dovetail.data.worlds.pictures.textured import Textured

STYLES: dict[str, Style] = {"flat": Flat(), "textured": Textured(), "solid": Solid()}
