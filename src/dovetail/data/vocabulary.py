"""English words of captions by what they tell, each beside those that cannot be true in its place.

A line of `CONTRASTS` is a contrast: its options exclude each other, and words of one option, parted by commas, mean the
same. `big` may be exchanged for `small`, never for `large`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

CONTRASTS: dict[str, tuple[str, ...]] = {
    "colour": (
        "red, crimson, scarlet / blue / green / yellow / orange / purple / pink / brown / black / white / "
        "gray, grey / turquoise / beige",
        "blond, blonde / brunette",
    ),
    "material": (
        "wooden / metal, metallic / plastic / leather / concrete / rubber / paper / ceramic / woollen, woolen",
        "brick / marble",
        "silk / denim / velvet / linen",
    ),
    "size": (
        "big, large, huge, giant, enormous / small, little, tiny, miniature / medium-sized, medium",
        "long / short",
        "tall / low",
        "wide, broad / narrow",
        "thick / thin",
    ),
    "state": (
        "open, opened / closed, shut",
        "wet, soaked / dry",
        "full / empty",
        "clean / dirty, muddy",
        "young / elderly",
        "old, ancient / new, modern",
        "sunny / rainy / snowy / foggy / cloudy, overcast",
        "raw / cooked",
        "ripe / unripe / rotten",
        "hot / cold",
        "happy, smiling, laughing / sad, crying / angry",
        "striped / spotted, dotted / checkered, checked / plain",
        "shiny / rusty",
        "bald / bearded",
        "asleep, sleeping / awake",
        "crowded / deserted",
    ),
    "relation": (
        "to the left of / to the right of",
        "left of / right of",
        "on the left / on the right",
        "in front of / behind",
        "on top of, above / under, underneath, beneath, below",
        "inside / outside",
        "far from / next to, beside, near",
        "into / out of",
        "towards, toward / away from",
        "with / without",
    ),
    "action": (
        "sitting, seated / standing / lying / kneeling / walking / running / jumping / swimming / flying / climbing",
        "sits / stands / lies / kneels / walks / runs / jumps / swims / flies / climbs",
        "pushing / pulling",
        "pushes / pulls",
        "throwing / catching / kicking",
        "throws / catches / kicks",
        "eating / cooking / washing",
        "eats / cooks / washes",
        "reading / writing / painting",
        "reads / writes / paints",
        "buying / selling",
        "opening / closing",
        "talking, speaking / singing / shouting / whispering",
        "getting on / getting off",
    ),
    "thing": (
        "man / woman / boy / girl / baby",
        "dog, puppy / cat, kitten / horse / cow / goat / pig / elephant / bear / zebra / giraffe / lion / "
        "tiger / monkey / rabbit / fox / wolf / camel / mouse",
        "bird / frog / snake / turtle",
        "owl / duck / parrot / eagle / penguin / swan / chicken",
        "car / bus / truck, lorry / train / bicycle, bike / motorcycle, motorbike / boat / ship / airplane, plane / "
        "helicopter / tractor",
        "apple / banana / pear / strawberry / lemon / grape / pineapple / carrot / tomato / potato / onion",
        "pizza / sandwich / burger / hotdog / salad / soup / cake / pie / donut, doughnut / cookie",
        "coffee / tea / milk / wine / beer / juice",
        "chair / table / bed / sofa, couch / desk / bench / shelf / lamp",
        "cup, mug / bottle / plate / bowl / fork / knife / spoon",
        "house / church / tower / bridge / castle / barn",
        "beach / forest / desert / street / field / kitchen / bathroom / bedroom / garage",
        "river / lake / mountain / island",
        "tree / flower / bush / mushroom",
        "hat / shirt / jacket / dress / skirt / scarf / shoe / glove",
        "ball / frisbee / kite / skateboard / surfboard / snowboard / umbrella / guitar / piano / drum",
        "phone / laptop / camera / television / keyboard / clock",
        "circle / square / triangle / star / cross / ring / heart",
        "spring / summer / autumn / winter",
        "morning / afternoon / evening / night",
    ),
}

NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

FUNCTION_WORDS = frozenset((
    "a", "an", "the", "this", "that", "these", "those", "some", "any", "each", "every", "all", "both", "no", "not",
    "and", "or", "but", "nor", "so", "than", "as", "if", "while", "when", "where", "who", "whom", "whose", "which",
    "what", "it", "its", "he", "him", "his", "she", "her", "hers", "they", "them", "their", "theirs", "we", "us",
    "our", "i", "me", "my", "you", "your", "there", "here", "is", "are", "was", "were", "be", "been", "being", "am",
    "has", "have", "had", "do", "does", "did", "will", "would", "can", "could", "may", "might", "must", "shall",
    "should", "to", "of",
))  # fmt: skip
"""Words that say nothing of a picture by themselves."""

PLURALS = {
    "man": "men",
    "woman": "women",
    "mouse": "mice",
    "goose": "geese",
    "person": "people",
    "child": "children",
    "foot": "feet",
    "tooth": "teeth",
    "wolf": "wolves",
    "knife": "knives",
    "shelf": "shelves",
    "scarf": "scarves",
    "leaf": "leaves",
}
UNCOUNTED = frozenset((
    "coffee", "tea", "milk", "wine", "beer", "juice", "spring", "summer", "autumn", "winter",
))  # fmt: skip


@dataclass(frozen=True)
class Sense:
    """What a word of the lists tells: the class and form that it shares with words that could stand in its place, and
    its contrast and option in it."""

    kind: str
    form: str  # `singular`, `plural` or nothing
    contrast: int
    option: int


@cache
def senses() -> dict[str, Sense]:
    """Every word (or phrase) of the lists, in lower case. What stands in several contrasts counts in the first."""
    found: dict[str, Sense] = {}
    for word, sense in _listed():
        found.setdefault(word, sense)
    return found


@cache
def options(kind: str, form: str, contrast: int) -> tuple[tuple[str, ...], ...]:
    """The options of a contrast in one form, each with the words that mean it."""
    found: dict[int, list[str]] = {}
    for word, sense in _listed():
        if (sense.kind, sense.form, sense.contrast) == (kind, form, contrast):
            found.setdefault(sense.option, []).append(word)
    return tuple(map(tuple, found.values()))


def plural(noun: str) -> str:
    """A noun of the lists in its plural."""
    if noun in PLURALS:
        return PLURALS[noun]
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "z", "ch", "sh", "to")) else "s")


def _listed() -> Iterator[tuple[str, Sense]]:
    for kind, contrasts in CONTRASTS.items():
        for c, contrast in enumerate(contrasts):
            for o, words in enumerate(contrast.split(" / ")):
                for word in words.split(", "):
                    countable = kind == "thing" and word not in UNCOUNTED
                    yield word, Sense(kind, "singular" if countable else "", c, o)
                    if countable:
                        yield plural(word), Sense(kind, "plural", c, o)
