"""Small objects of every class in the catalogue, for suites that name no method.

An argument's value is found by its name here, or, where its annotation is a contract, among that contract's own
samples; else the default stands. A method whose required argument is called otherwise adds a line to SMALL.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import cache, partial
from tempfile import TemporaryDirectory
from typing import Any, get_args
from weakref import WeakKeyDictionary

import pytest
import torch

from dovetail import catalogue, contracts
from dovetail.catalogue import Entry
from dovetail.contracts import (
    Advancing,
    Batch,
    Beginning,
    Captions,
    Concepts,
    Encoder,
    Ending,
    Features,
    Kind,
    Modality,
    Naming,
    Objective,
    PairLoss,
    Regions,
    Schedule,
    Similarity,
    Stage,
    Tokens,
    Viewing,
    Views,
)
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.text import train_bpe
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pretrained import save
from tests.models import hf_duals

BERT = {
    "model_type": "bert",
    "vocab_size": 300,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}


@cache
def _trained() -> TemporaryDirectory[str]:
    """A small model on disk, the same in every process, as long as this one lives."""
    folder = TemporaryDirectory()
    with torch.random.fork_rng():
        torch.manual_seed(9)
        save(dual_encoder(), folder.name)
    return folder


def _teacher() -> str:
    return _trained().name


LVLM = {
    "model_type": "llava",
    "image_token_index": 299,
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    },
    "text_config": {
        "model_type": "phi",
        "vocab_size": 300,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
}
# Where an argument has several values, each occurs in one sample at least.
SMALL: dict[str, tuple[Any, ...]] = {
    "size": (32,),
    "patch": (8,),
    "width": (32,),
    "inner": (32,),
    "depth": (2,),
    "heads": (2,),
    "vocabulary": (300,),
    "context": (32,),
    "embed_dim": (16,),  # that of `dual_encoder`
    "codes": (8,),
    "least": (2,),  # of CAPTIONS that name a concept
    "components": (3,),
    "kept": (4,),
    "widths": ((16, 32, 32),),
    "depths": ((1, 1, 1),),
    "episode": (8,),
    "prototypes": (4,),
    "experts": (3,),
    "memory": (6,),
    "image": (partial(catalogue.build, "vit(32, 8, 32, 2, 2)", Encoder),),
    "text": (partial(catalogue.build, "text_transformer(300, 30, 32, 2, 2)", Encoder),),
    "teacher": (partial(_teacher),),
    "language": (partial(catalogue.build, "text_transformer(300, 32, 32, 2, 2)", Encoder),),
    "config": (BERT,),
    "lvlm": (LVLM,),
    "dual": tuple(hf_duals.CONFIGS[name] for name in ("altclip", "groupvit", "vit and bert")),
}
REQUIRED: dict[str, tuple[Any, ...]] = {  # only for arguments without a default
    "name": ("test_vit", "test_resnet"),
    "model": ("fill-mask",),  # a folder that test_curator makes
}
CAPTIONS = ["a photo of a cat", "two dogs", "a red car beside a house", "a cat and two dogs in a red car", "a house"]

TOWERS = "clip_vit", "clip_text"  # plain ones, the first with a token that is no patch

Make = Callable[[], Any]
Marks = list[pytest.MarkDecorator]
Sample = tuple[str, Make, Marks]
BEFORE: WeakKeyDictionary[Any, tuple[tuple[Stage, ...], tuple[str, ...]]] = WeakKeyDictionary()
"""Of an objective that is one of a schedule's: the stages before it, and what does not learn in its own."""


def samples(*wanted: type) -> list[Any]:
    """Parameters for pytest: functions that make one object each, for every class of these contracts (of all); among
    objectives those of each schedule's stages."""
    found = [e for e in catalogue.entries() if not wanted or e.contract in {c.__name__ for c in wanted}]
    named = [sample for e in found for sample in _named(e)]
    if Objective in wanted:
        named += [stage for e in catalogue.entries(Schedule) for sample in _named(e) for stage in _stages(*sample)]
    return [pytest.param(make, id=name, marks=marks) for name, make, marks in named]


def _named(entry: Entry) -> list[Sample]:
    """Of an objective's or a schedule's many, which differ in their pair loss, those between the first and the last are
    slow: they say little that the suites of pair losses do not."""
    made = makers(entry)
    slow = range(1, len(made) - 1) if entry.contract in ("Objective", "Schedule") else ()
    return [
        (f"{entry.key}-{i}" if i else entry.key, make, [pytest.mark.slow] if i in slow else [])
        for i, make in enumerate(made)
    ]


def _stages(name: str, make: Make, marks: Marks) -> list[Sample]:
    return [(f"{name}-stage-{i}", partial(_stage, make, i), marks) for i in range(len(make().stages))]


def _stage(make: Make, number: int) -> Any:
    stages = make().stages
    BEFORE[stages[number].objective] = stages[:number], stages[number].frozen
    return stages[number].objective


def makers(entry: Entry) -> list[Make]:
    """As few functions as let each choice of each argument occur."""
    choices = {name: found for name, p in entry.options.items() if (found := _choices(name, p))}
    count = max(map(len, choices.values()), default=1)
    return [partial(_made, entry, {k: v[i % len(v)] for k, v in choices.items()}) for i in range(count)]


def objects(contract: type) -> list[Any]:
    """One object of every class of a contract."""
    return [make() for e in catalogue.entries(contract) for make in makers(e)]


def _choices(name: str, parameter: inspect.Parameter) -> tuple[Any, ...]:
    if name in SMALL:
        return SMALL[name]
    for hint in (parameter.annotation, *get_args(parameter.annotation)):
        if getattr(hint, "_is_protocol", False) and hint is getattr(contracts, hint.__name__):
            return tuple(make for e in catalogue.entries(hint) for make in makers(e))
    return REQUIRED.get(name, ()) if parameter.default is inspect.Parameter.empty else ()


def _made(entry: Entry, options: dict[str, Any]) -> Any:
    return entry.make(**{k: v() if isinstance(v, partial) else v for k, v in options.items()})


def reads_text(encoder: Any) -> bool:
    """Whether an encoder is a text tower, as its forward's annotation says."""
    return inspect.signature(type(encoder).forward).parameters["x"].annotation is Tokens


def images(b: int, size: int) -> torch.Tensor:
    """Normalised pixels."""
    return torch.randn(b, 3, size, size)


def tokens(t: int, longest: int = 12) -> Tokens:
    """Texts of different lengths, the first the longest."""
    lengths = (longest - 3 * torch.arange(t)).clamp_min(1)
    return Tokens(torch.randint(3, 300, (t, longest)), torch.arange(longest)[None, :] < lengths[:, None])


def inputs(encoder: Any, b: int = 3) -> Any:
    """Something that the encoder reads."""
    return tokens(b) if reads_text(encoder) else images(b, getattr(encoder, "size", None) or 32)


def features(b: int, n: int = 5, width: int = 6, dtype: torch.dtype = torch.float64) -> Features:
    """Random features with tokens, of which the last ones of every second item are padding."""
    mask = torch.ones(b, n, dtype=torch.bool)
    mask[1::2, n // 2 + 1 :] = False
    return Features(torch.randn(b, width, dtype=dtype), torch.randn(b, n, width, dtype=dtype), mask)


def dual_encoder(
    loss: PairLoss | None = None, similarity: Similarity | None = None, towers: Sequence[str] = TOWERS
) -> DualEncoder:
    """A small model that scores as the loss and the similarity need it."""
    image, text = (makers(catalogue.lookup(key, Encoder))[0]() for key in towers)
    return DualEncoder(
        image=image,
        text=text,
        embed_dim=16,
        preprocessing=Preprocessing(size=getattr(image, "size", None) or 32),
        tokenizer=train_bpe(["a photo of a cat", "two dogs"], vocab_size=300, context=32),
        similarity=similarity or objects(Similarity)[0],
        scale=loss.initial_scale if loss else 10.0,
        bias=loss.initial_bias if loss else None,
    )


def begun(objective: Any) -> DualEncoder:
    """A small model with which an objective, and any stage before it, has begun, a step taken or two."""
    earlier, frozen = BEFORE.get(objective, ((), ()))
    towers = getattr(objective, "towers", TOWERS)  # where it can do with certain ones alone
    model = dual_encoder(getattr(objective, "loss", None), getattr(objective, "similarity", None), towers)
    for stage in earlier:
        _begin(stage.objective, model)
        if isinstance(stage.objective, Ending):
            stage.objective.end(model)
    for part in frozen:
        getattr(model, part).requires_grad_(False)
    _begin(objective, model)
    return model


def _begin(objective: Any, model: DualEncoder) -> None:
    if isinstance(objective, Beginning):
        objective.begin(model, CAPTIONS)
    if isinstance(objective, Advancing):
        objective.advance(model, 0.5)


def batch(objective: Any = None) -> Batch:
    """Five images, of which two are the same thing, with one to three captions each, a long one, a hard negative and a
    synthetic one among them; with regions, depth and video of some, and what `objective` asks for once it has begun."""
    owner = torch.tensor([0, 0, 1, 2, 2, 2, 3, 4])
    kind = torch.full_like(owner, Kind.RAW)
    kind[1], kind[4], kind[5] = Kind.LONG, Kind.NEGATIVE, Kind.SYNTHETIC
    pixels = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    plain = Batch(pixels, Captions(tokens(8), owner, kind), torch.tensor([7, 8, 9, 7, 11]), tuple("abcde"))
    return replace(
        plain,
        regions=_regions(),
        depth=Modality(torch.randint(0, 256, (4, 1, 1, 32, 32), dtype=torch.uint8), torch.tensor([0, 1, 2, 4])),
        video=Modality(torch.randint(0, 256, (4, 2, 3, 32, 32), dtype=torch.uint8), torch.tensor([0, 2, 3, 4])),
        views=_views(objective) if isinstance(objective, Viewing) else None,
        concepts=_concepts(objective) if isinstance(objective, Naming) else None,
    )


def _regions() -> Regions:
    """Of three of the images, one of them a whole image; the second and the last phrase are the same."""
    phrases = tokens(6)
    ids, mask = (torch.cat([x[:5], x[1:2]]) for x in (phrases.ids, phrases.mask))
    corners = torch.rand(6, 2) * 0.5
    boxes = torch.cat([corners, corners + 0.1 + torch.rand(6, 2) * 0.4], 1)
    boxes[3] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    return Regions(boxes, torch.tensor([0, 0, 0, 2, 3, 3]), Tokens(ids, mask))


def _views(objective: Any) -> Views:
    kinds = torch.tensor([kind for kind, crops in enumerate(objective.views) for _ in range(crops.count)])
    pixels = torch.randint(0, 256, (5 * len(kinds), 3, 32, 32), dtype=torch.uint8)
    return Views(pixels, torch.arange(5).repeat_interleave(len(kinds)), kinds.repeat(5))


def _concepts(objective: Any) -> Concepts:
    named = [list(objective.vocabulary([text])) for text in CAPTIONS]
    numbers = torch.tensor([number for numbers in named for number in numbers], dtype=torch.int64)
    return Concepts(numbers, torch.repeat_interleave(torch.tensor([len(numbers) for numbers in named])))


def normalised(batch: Batch, how: Preprocessing) -> Batch:
    """The same with floats in double precision for bytes."""

    def double(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value._each(double)
        if value.dtype != torch.uint8 or value.shape[-3] != 3:
            return value.double() / 255 if value.dtype == torch.uint8 else value
        return how.normalise(value.reshape(-1, *value.shape[-3:])).double().view(value.shape)

    return batch._each(double)


def shuffled(batch: Batch, images: torch.Tensor) -> Batch:
    """The same batch with its images in the order `images`, and what they own in an order of its own."""
    place = torch.empty_like(images)
    place[images] = torch.arange(len(images))  # where each image now lies
    own = {f.name: getattr(batch, f.name) for f in fields(batch)}
    changed: dict[str, Any] = {k: v[images] for k, v in own.items() if isinstance(v, torch.Tensor)}
    for name, value in own.items():
        if hasattr(value, "owner"):
            mixed = rows(value, torch.randperm(len(value.owner)))
            changed[name] = replace(mixed, owner=place[mixed.owner])
    return replace(batch, **changed, names=tuple(batch.names[i] for i in images))


def part(batch: Batch, start: int, stop: int) -> Batch:
    """The images start, ..., stop - 1 with what they own."""
    own = {f.name: getattr(batch, f.name) for f in fields(batch)}
    changed: dict[str, Any] = {k: v[start:stop] for k, v in own.items() if isinstance(v, torch.Tensor | tuple)}
    for name, value in own.items():
        if hasattr(value, "owner"):
            mine = rows(value, ((value.owner >= start) & (value.owner < stop)).nonzero()[:, 0])
            changed[name] = replace(mine, owner=mine.owner - start)
    return replace(batch, **changed)


def rows(value: Any, at: torch.Tensor) -> Any:
    """The rows `at` of every tensor of a record."""
    if isinstance(value, torch.Tensor):
        return value[at]
    return replace(value, **{f.name: rows(getattr(value, f.name), at) for f in fields(value)})
