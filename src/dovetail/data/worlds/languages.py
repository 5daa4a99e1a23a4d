"""The languages that scenes can be told in, by their ISO 639-1 codes."""

from dovetail.data.worlds.captions import Language
from dovetail.data.worlds.chinese import CHINESE
from dovetail.data.worlds.english import ENGLISH
from dovetail.data.worlds.french import FRENCH
from dovetail.data.worlds.german import GERMAN
from dovetail.data.worlds.spanish import SPANISH

LANGUAGES: dict[str, Language] = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH, "es": SPANISH, "zh": CHINESE}
