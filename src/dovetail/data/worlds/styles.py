"""The styles by name."""

from dovetail.data.worlds.render import Flat, Style
from dovetail.data.worlds.solid import Solid
from dovetail.data.worlds.textured import Textured

STYLES: dict[str, Style] = {"flat": Flat(), "textured": Textured(), "solid": Solid()}
