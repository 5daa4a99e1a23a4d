"""What a report holds. Every section may be None (or empty) and is then simply absent from the page."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from dovetail.data.records import Problems
from dovetail.evaluation.report.figures import Figure, FigureTable


@dataclass(frozen=True)
class Fact:
    """Something known, already written out, and what it means where that is not obvious."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class FactGroup:
    """Facts under one heading of the model card."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class NextStep:
    """What to do next, in a few words, and the command that does it."""

    text: str
    command: str


@dataclass(frozen=True)
class Headline:
    """The top of the page: what was trained on what in one plain sentence, and the two or three figures that matter.

    cautions: when not to trust the figures, one sentence each.
    """

    name: str
    sentence: str
    figures: tuple[Figure, ...] = ()
    cautions: tuple[str, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    written: str = ""  # when and by which version, for the foot of the page


@dataclass(frozen=True)
class Series:
    """One line of a chart: the steps and the value at each; values that are not finite are left out."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    """A chart over the steps of a run. `reference` draws a dashed line, such as (`chance`, 0.01)."""

    title: str
    series: tuple[Series, ...]
    unit: str = ""
    reference: tuple[str, float] | None = None


@dataclass(frozen=True)
class Training:
    """How the run went: its charts (see `curves`), and facts such as steps, images seen, time and speed.

    images_per_step: writes images seen under the steps of each chart.
    """

    curves: tuple[Curve, ...]
    facts: tuple[Fact, ...] = ()
    images_per_step: float | None = None


@dataclass(frozen=True)
class ImageHit:
    """An image as the answer to a text."""

    image: Image.Image
    score: float
    right: bool
    name: str = ""


@dataclass(frozen=True)
class TextHit:
    """A caption as the answer to an image."""

    text: str
    score: float
    right: bool


@dataclass(frozen=True)
class TextQuery:
    """A text, its best images in order, and at which rank (from 1) the first right one stands."""

    text: str
    hits: tuple[ImageHit, ...]
    rank: int | None = None


@dataclass(frozen=True)
class ImageQuery:
    """An image, its best captions in order, and at which rank (from 1) the first right one stands."""

    image: Image.Image
    hits: tuple[TextHit, ...]
    rank: int | None = None
    name: str = ""


@dataclass(frozen=True)
class Examples:
    """What the model answers; `sentence` says how the examples were drawn. Neither best nor worst: a fair sample."""

    text_queries: tuple[TextQuery, ...] = ()
    image_queries: tuple[ImageQuery, ...] = ()
    sentence: str = ""


@dataclass(frozen=True)
class WrongImage:
    """A text whose right image was scored far below a wrong one."""

    text: str
    wrong: ImageHit
    right: ImageHit
    rank: int | None = None  # of the right one, from 1


@dataclass(frozen=True)
class WrongCaption:
    """An image whose right caption was scored far below a wrong one."""

    image: Image.Image
    wrong: TextHit
    right: TextHit
    rank: int | None = None  # of the right one, from 1
    name: str = ""


@dataclass(frozen=True)
class Mistakes:
    """The worst mistakes, worst first."""

    images: tuple[WrongImage, ...] = ()
    captions: tuple[WrongCaption, ...] = ()


@dataclass(frozen=True)
class Similarities:
    """The scores as a whole.

    matrix: (n n) scores of a sample, row i and column i belonging together; about 40 x 40 reads well.
    matching, others: the scores of pairs that belong together and of pairs that do not.
    facts: modality gap, alignment, uniformity, with what they mean.
    """

    matrix: np.ndarray
    matching: np.ndarray
    others: np.ndarray
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class DataPart:
    """One part of the data, such as train or validation, as it was used.

    captions_per_image: number of captions -> images; lengths: words (or tokens) of a caption -> captions;
    languages: language -> captions; skipped: what could not be used.
    """

    name: str
    images: int
    captions: int
    captions_per_image: Mapping[int, int] = field(default_factory=dict)
    lengths: Mapping[int, int] = field(default_factory=dict)
    languages: Mapping[str, int] = field(default_factory=dict)
    skipped: Problems = field(default_factory=Problems)


@dataclass(frozen=True)
class DataSection:
    """The data of a run; `length_unit` says in what captions are measured."""

    parts: tuple[DataPart, ...]
    length_unit: str = "words"

    @property
    def charts(self) -> dict[str, dict[str, Mapping[int, int]]]:
        """What is drawn of it: the title of each chart, and the counts of each part; nothing where all are the same."""
        wanted = {
            "Captions per image, share of images": {p.name: p.captions_per_image for p in self.parts},
            f"Length of captions in {self.length_unit}, share of captions": {p.name: p.lengths for p in self.parts},
        }
        held = {title: {name: c for name, c in named.items() if sum(c.values())} for title, named in wanted.items()}
        return {title: named for title, named in held.items() if any(len(c) > 1 for c in named.values())}


@dataclass(frozen=True)
class ModelCard:
    """What the model is, how to load it, and where not to trust it.

    groups: towers with their parameters, objective, preprocessing, tokenizer, time, device, versions.
    load: a code sample; configuration: the resolved configuration as YAML.
    """

    groups: tuple[FactGroup, ...]
    citations: tuple[str, ...] = ()
    load: str = ""
    limits: tuple[str, ...] = ()
    configuration: str = ""


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    headline: Headline
    training: Training | None = None
    retrieval: FigureTable | None = None
    zero_shot: FigureTable | None = None
    examples: Examples | None = None
    mistakes: Mistakes | None = None
    similarities: Similarities | None = None
    data: DataSection | None = None
    card: ModelCard | None = None
