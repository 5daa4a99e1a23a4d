"""Retrieval across languages: the same scenes told in each of them."""

from dataclasses import dataclass

from dovetail.contracts import Features
from dovetail.data.records import DataError, Problems, Record
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.scenes import Scenes
from dovetail.data.worlds.words.captions import Language
from dovetail.data.worlds.words.languages import LANGUAGES
from dovetail.data.worlds.words.statements import FULL, Listing, listing
from dovetail.evaluation.benchmarks import DualModel, encoded
from dovetail.evaluation.intervals import Estimate
from dovetail.evaluation.matching import as_features
from dovetail.evaluation.result import Result
from dovetail.evaluation.retrieval import retrieval
from dovetail.evaluation.worlds.asking import Key, questioned

KS = (1, 10)
PIVOT = "en"


@dataclass(frozen=True)
class CrossLingualBenchmark:
    """Each scene's things with all their attributes, listed once in every language. Scenes whose things are the same
    are right answers for each other.

    languages: ISO 639-1 codes; English is told besides, as the other side of every translation.
    Raises DataError for an unknown code and, when called, if nothing usable is left.
    """

    source: Scenes
    languages: tuple[str, ...] = tuple(LANGUAGES)
    name: str = "languages"

    def __post_init__(self) -> None:
        unknown = [code for code in self.languages if code not in LANGUAGES]
        if unknown or not self.languages:
            raise DataError(f"unknown languages: {', '.join(unknown) or 'none'}; there are {', '.join(LANGUAGES)}")

    def __call__(self, model: DualModel) -> Result:
        """`de/text_to_image/R@1` and `R@10` for each language, and `de_to_en/R@1`, `en_to_de/R@1` for each but English:
        the text of the same scene among all texts of the other language.
        """
        problems = Problems()
        records, images = encoded(model, questioned(self.source, _listed, problems, "nothing"), problems)
        said: list[tuple[Listing, Key]] = [record.extra["questions"][0] for record in records]
        ids = _ids([statement for statement, _ in said])
        texts = {code: _told(model, said, LANGUAGES[code]) for code in dict.fromkeys((*self.languages, PIVOT))}
        figures: dict[str, Estimate] = {}
        chance: dict[str, float] = {}

        def measure(rows: Features, code: str, ks: tuple[int, ...], named: dict[str, str]) -> None:
            found = retrieval(rows, texts[code], range(len(ids)), ids, model.similarity, ks)
            figures.update({name: found.figures[of] for name, of in named.items()})
            chance.update({name: found.chance[of] for name, of in named.items()})

        for code in self.languages:
            measure(images, code, KS, {f"{code}/text_to_image/R@{k}": f"text_to_image/R@{k}" for k in KS})
        for code in self.languages:
            if code != PIVOT:
                there, back = f"{PIVOT}_to_{code}/R@1", f"{code}_to_{PIVOT}/R@1"
                measure(texts[PIVOT], code, KS[:1], {back: "text_to_image/R@1", there: "image_to_text/R@1"})
        counts = {"images": len(records), "languages": len(texts)}
        return Result(self.name, figures, chance, counts, problems)


def _listed(record: Record, key: Key) -> tuple[tuple[Listing, Key]]:
    return ((listing(record.extra["scene"], FULL, Draws("cross-lingual", *key)), key),)


def _told(model: DualModel, said: list[tuple[Listing, Key]], language: Language) -> Features:
    texts = [language.say(statement, Draws("cross-lingual", language.code, *key)) for statement, key in said]
    return as_features(model.encode_text(texts), "text")


def _ids(said: list[Listing]) -> list[int]:
    """Equal where the same things are listed, in whatever order."""
    rows: dict[tuple[str, ...], int] = {}
    return [rows.setdefault(tuple(sorted(map(str, (m.facts for m in s.mentions)))), len(rows)) for s in said]
