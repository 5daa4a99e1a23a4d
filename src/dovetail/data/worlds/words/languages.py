"""The languages that scenes can be told in, by their ISO 639-1 codes."""

from dovetail.data.worlds.words.captions import Language
from dovetail.data.worlds.words.chinese import CHINESE
from dovetail.data.worlds.words.english import ENGLISH
from dovetail.data.worlds.words.french import FRENCH
from dovetail.data.worlds.words.german import GERMAN
from dovetail.data.worlds.words.spanish import SPANISH

LANGUAGES: dict[str, Language] = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH, "es": SPANISH, "zh": CHINESE}
