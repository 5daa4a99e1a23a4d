"""The joints between the parts: what is handed from one to the next, with its shapes. Nothing else.

Letters used everywhere: b images of a batch, t captions, r rows, c columns, n tokens of an item, l positions of a text,
d width, h w pixels.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any, Protocol, Self, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor


class Kind(IntEnum):
    """What sort of caption it is, as stored in `Captions.kind`."""

    RAW = 0
    LONG = 1
    SYNTHETIC = 2
    NEGATIVE = 3


@dataclass(frozen=True)
class _Tensors:
    """A record of tensors (and records of tensors) that moves between devices as one thing."""

    def to(self, device: torch.device | str) -> Self:
        """The same record on `device`; asynchronous where the memory is pinned."""
        return self._each(lambda x: x.to(device) if isinstance(x, _Tensors) else x.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """The same record in page-locked memory, from which a copy to a GPU overlaps with its work."""
        return self._each(lambda x: x.pin_memory())

    def _each(self, f: Any) -> Self:
        held = {k.name: getattr(self, k.name) for k in fields(self)}
        return replace(self, **{k: f(v) for k, v in held.items() if isinstance(v, Tensor | _Tensors)})


@dataclass(frozen=True)
class Features(_Tensors):
    """What an encoder says of b things: one vector each, and, if it has them, one vector per token."""

    pooled: Float[Tensor, "b d"]
    tokens: Float[Tensor, "b n e"] | None = None
    mask: Bool[Tensor, "b n"] | None = None  # True where a token is real; None means all are
    grid: tuple[int, int] | None = None  # rows and columns of patches, when the tokens form a picture


@dataclass(frozen=True)
class Tokens(_Tensors):
    """Tokenized texts, padded on the right to the longest."""

    ids: Int[Tensor, "t l"]
    mask: Bool[Tensor, "t l"]  # True where a token is real


@dataclass(frozen=True)
class Captions(_Tensors):
    """The texts of a batch and the image each belongs to."""

    tokens: Tokens
    owner: Int[Tensor, " t"]  # index into the batch's images
    kind: Int[Tensor, " t"]  # one of Kind


@dataclass(frozen=True)
class Regions(_Tensors):
    """Boxes of a batch, as fractions of the image's width and height (left, top, right, bottom), with a phrase each."""

    boxes: Float[Tensor, "r 4"]
    owner: Int[Tensor, " r"]
    phrases: Tokens


@dataclass(frozen=True)
class Crops:
    """Further random views of each image that an objective asks for, in pixels of the model's own size.

    count: views of an image. area: least and greatest share of the image's area. flip: probability of a mirror image.
    jitter: strengths for brightness, contrast and saturation. See `data.preprocessing.Preprocessing`.
    """

    count: int = 1
    area: tuple[float, float] = (0.5, 1.0)
    flip: float = 0.5
    jitter: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Views(_Tensors):
    """Further random views of a batch's images, image by image and in the order in which the objective asked."""

    images: UInt8[Tensor, "v 3 h w"] | Float[Tensor, "v 3 h w"]
    owner: Int[Tensor, " v"]  # index into the batch's images
    kind: Int[Tensor, " v"]  # index into the objective's `views`


@dataclass(frozen=True)
class Modality(_Tensors):
    """What another sensor saw of a batch's images: one frame (depth, c = 1) or several (video, c = 3)."""

    frames: UInt8[Tensor, "m f c h w"] | Float[Tensor, "m f c h w"]  # bytes; depth: 0 is nearest
    owner: Int[Tensor, " m"]  # index into the batch's images


@dataclass(frozen=True)
class Concepts(_Tensors):
    """The concepts that the captions of a batch's images name, each once an image."""

    index: Int[Tensor, " p"]  # of the concept, in the objective's `vocabulary`
    owner: Int[Tensor, " p"]  # index into the batch's images


@dataclass(frozen=True)
class Batch(_Tensors):
    """One step's data. Fields that the data does not have are None; an Objective's `requires` names those it needs."""

    images: UInt8[Tensor, "b 3 h w"] | Float[Tensor, "b 3 h w"]  # bytes as decoded, or floats already normalised
    captions: Captions
    ids: Int[Tensor, " b"]  # equal ids are the same thing and never negatives of each other
    names: tuple[str, ...] = ()  # where each image came from, for messages
    regions: Regions | None = None
    labels: Int[Tensor, " b"] | None = None
    weights: Float[Tensor, " b"] | None = None
    views: Views | None = None  # where the objective asks for some
    depth: Modality | None = None
    video: Modality | None = None
    concepts: Concepts | None = None  # where the objective has a vocabulary


@runtime_checkable
class Encoder(Protocol):
    """An image tower (x: normalised pixels, b 3 h w) or a text tower (x: Tokens). A torch module.

    `width` is the length of its pooled vector, `token_width` that of its tokens.
    """

    width: int
    token_width: int

    def __call__(self, x: Any) -> Features: ...


@runtime_checkable
class Similarity(Protocol):
    """How alike r things are to c things. The same object trains, evaluates and searches.

    symmetric: scores(a, b) equals the transpose of scores(b, a), so that one matrix serves both directions.
    tokens: it reads `Features.tokens`, not only `pooled`.
    """

    symmetric: bool
    tokens: bool

    def prepare(self, features: Features) -> Features:
        """What can be computed of each thing alone, once, before it meets the others: unit vectors, for instance."""
        ...

    def scores(self, rows: Features, cols: Features) -> Float[Tensor, "r c"]:
        """How alike prepared things are. Called with parts of the rows and of the columns."""
        ...


@dataclass(frozen=True)
class RowFacts:
    """What a pair's cost may depend on beyond the pair: facts of its whole row."""

    total: Float[Tensor, "r 1"]  # sum of the row's targets
    statistics: tuple[Float[Tensor, "r 1"], ...]  # of each of the loss's exponents the log-sum-exp over the row


@runtime_checkable
class PairLoss(Protocol):
    """What one row of a score matrix costs, given which columns belong to it: the sum of `costs` over the row.

    The scores arrive as scale * similarity + bias; both are learnt and start from the values that the loss states here
    (`initial_bias` None: there is no bias). Both methods see parts of the matrix and treat every entry by itself, so
    that no whole matrix is ever held; `ops.contrast.row_losses` is the loss of whole rows. Targets of None stand for
    zeros: nothing here belongs together.

    pairwise: a pair's cost depends on its own score and target alone. Otherwise only the pairs that belong together
    (target above 0) cost anything, and the others matter through the row's statistics.
    """

    initial_scale: float
    initial_bias: float | None
    pairwise: bool

    def exponents(self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None) -> tuple[Tensor, ...]:
        """The (r c) tensors whose log-sum-exp over the whole row `costs` needs; none for a pairwise loss."""
        ...

    def costs(
        self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None, row: RowFacts
    ) -> Float[Tensor, "r c"]:
        """What each pair adds to its row's loss."""
        ...


@runtime_checkable
class Objective(Protocol):
    """What is minimised. A torch module, so that an objective may have parameters of its own.

    requires: what the data must have beyond images, captions and ids: names of Batch fields (`regions`, `depth`,
    `video`), `several captions`, `long captions`, `synthetic captions`, or `negative captions`: without the last in it,
    captions of kind NEGATIVE are kept from the batch. Views are made of any image: see `Viewing`.

    encode runs the towers and speaks of every item by itself; whatever compares items, or changes a state such as a
    queue, belongs to terms. Gradient caching relies on it: there encode sees a piece of the batch, twice, and terms the
    outputs of all pieces joined. encode returns Features, tensors with one row an item (an image, a caption, a
    region), 0-d tensors that are the same for every piece (a scale, a bias), None, or a dataclass, mapping or tuple of
    these; the rows in the batch's order.
    """

    requires: tuple[str, ...]

    def encode(self, model: Any, batch: Batch) -> Any: ...

    def terms(self, outputs: Any, batch: Batch) -> Mapping[str, Float[Tensor, ""]]: ...


@runtime_checkable
class Viewing(Protocol):
    """An Objective that reads `Batch.views`: which further views of each image it wants."""

    views: tuple[Crops, ...]


@runtime_checkable
class Naming(Protocol):
    """An Objective that reads `Batch.concepts`. `vocabulary` gives the numbers of the concepts that the captions of
    one image name; it is picklable, and known after `begin`."""

    vocabulary: Callable[[Sequence[str]], Sequence[int]]


@runtime_checkable
class Beginning(Protocol):
    """An Objective that must see the model, or the captions, before it can say what its parameters are.

    Called once, before the first step, before a checkpoint is put back and before anything is distributed: what it
    makes must depend on its arguments alone. It may change the model: freeze parts, add some.
    """

    def begin(self, model: Any, captions: Iterable[str]) -> None: ...


@runtime_checkable
class Ending(Protocol):
    """An Objective that leaves the model otherwise than it trained it: that takes back what `begin` added, say.

    Called once on a trained model, after the last step, or when a run is continued in a later stage (then before the
    weights are put back)."""

    def end(self, model: Any) -> None: ...


@runtime_checkable
class Advancing(Protocol):
    """An Objective with a state of its own that follows the training: a teacher that trails the model, a schedule,
    prototypes. `advance` is called before every step; progress: from 0 at the first to 1 at the end."""

    def advance(self, model: Any, progress: float) -> None: ...


@dataclass(frozen=True)
class Stage:
    """A part of a training with an objective of its own: its share of the budget, relative to the others', and the
    parts of the model (`image`, `text`, `image_projection`, ...) that do not learn meanwhile."""

    objective: Objective
    share: float = 1.0
    frozen: tuple[str, ...] = ()


@runtime_checkable
class Schedule(Protocol):
    """A training in stages, one after the other, each with an optimiser of its own. A torch module that holds them.

    requires: as of an Objective, for all stages together.
    """

    requires: tuple[str, ...]

    @property
    def stages(self) -> tuple[Stage, ...]: ...


@runtime_checkable
class Curator(Protocol):
    """A stream of records to a stream of records: filters, rewrites or adds to what is said of each image.

    requires: what the records must have, as of an Objective.
    """

    requires: tuple[str, ...]

    def __call__(self, records: Iterable[Any]) -> Iterator[Any]: ...


class Metric(Protocol):
    """One figure from what was predicted and what is true."""

    def __call__(self, predictions: Any, targets: Any) -> float: ...


@runtime_checkable
class Benchmark(Protocol):
    """A protocol and its items. Asks the model for capabilities (encode_image, encode_text, ...), never for a class."""

    name: str

    def __call__(self, model: Any) -> Mapping[str, Any]: ...
