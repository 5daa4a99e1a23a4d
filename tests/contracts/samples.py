"""Small objects of every class in the catalogue, for suites that name no method.

An argument's value is found by its name here, or, where its annotation is a contract, among that contract's own
samples; else the default stands. A method whose required argument is called otherwise adds a line to SMALL.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import pytest
import torch

from dovetail import catalogue, contracts
from dovetail.catalogue import Entry
from dovetail.contracts import Batch, Captions, Encoder, Features, Kind, PairLoss, Similarity, Tokens
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.text import train_bpe
from dovetail.models.dual_encoder import DualEncoder
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
    "config": (BERT,),
    "dual": tuple(hf_duals.CONFIGS[name] for name in ("altclip", "groupvit", "vit and bert")),
}
REQUIRED: dict[str, tuple[Any, ...]] = {"name": ("test_vit", "test_resnet")}  # only for arguments without a default

Make = Callable[[], Any]


def samples(*wanted: type) -> list[Any]:
    """Parameters for pytest: functions that make one object each, for every class of these contracts (of all)."""
    found = [e for e in catalogue.entries() if not wanted or e.contract in {c.__name__ for c in wanted}]
    return [pytest.param(make, id=f"{e.key}-{i}" if i else e.key) for e in found for i, make in enumerate(makers(e))]


def makers(entry: Entry) -> list[Make]:
    """As few functions as let each choice of each argument occur."""
    choices = {name: found for name, p in entry.options.items() if (found := _choices(name, p))}
    count = max(map(len, choices.values()), default=1)
    return [partial(_made, entry, {k: v[i % len(v)] for k, v in choices.items()}) for i in range(count)]


def objects(contract: type) -> list[Any]:
    """One object of every class of a contract."""
    return [make() for e in catalogue.entries(contract) for make in makers(e)]


def _choices(name: str, parameter: inspect.Parameter) -> tuple[Any, ...]:
    for hint in (parameter.annotation, *get_args(parameter.annotation)):
        if getattr(hint, "_is_protocol", False) and hint is getattr(contracts, hint.__name__):
            return tuple(make for e in catalogue.entries(hint) for make in makers(e))
    required = REQUIRED.get(name, ()) if parameter.default is inspect.Parameter.empty else ()
    return SMALL.get(name, required)


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


def dual_encoder(loss: PairLoss | None = None, similarity: Similarity | None = None) -> DualEncoder:
    """A small model of the catalogue's first towers that scores as the loss and the similarity need it."""
    makes = [make for entry in catalogue.entries(Encoder) for make in makers(entry)]
    image = next(tower for make in makes if not reads_text(tower := make()))
    text = next(tower for make in makes if reads_text(tower := make()))
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


def batch() -> Batch:
    """Five images, of which two are the same thing, with one to three captions each, one of them a hard negative."""
    owner = torch.tensor([0, 0, 1, 2, 2, 2, 3, 4])
    kind = torch.full_like(owner, Kind.RAW)
    kind[4] = Kind.NEGATIVE
    pixels = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    return Batch(pixels, Captions(tokens(8), owner, kind), torch.tensor([7, 8, 9, 7, 11]), tuple("abcde"))
