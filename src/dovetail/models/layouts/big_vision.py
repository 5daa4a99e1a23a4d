"""big_vision's layout of SigLIP and SigLIP 2: one `.npz` file of arrays, with the tokenizer put beside it.

webli_en_b16_224.npz   tokenizer.json (with its tokenizer_config.json) or sentencepiece.model

The file holds no configuration: sizes are those of its arrays, all else what SigLIP's models have in common. Pictures
are squashed by antialiased bicubic interpolation, as open_clip and transformers do for these weights; big_vision's own
is bilinear without antialiasing.
"""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dovetail.catalogue import lookup
from dovetail.contracts import Encoder, Similarity
from dovetail.data import text
from dovetail.data.preprocessing import HALF, Preprocessing
from dovetail.data.text import CONFIG, FILE, Tokenizer
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, put
from dovetail.models.layouts.spiece import siglip_backend
from dovetail.models.layouts.transformers_text import SPIECE, tokenizer_of
from dovetail.models.siglip_weights import from_big_vision

WHAT = "a .npz file of big_vision's SigLIP"
SIGN = "img/embedding/kernel"  # an array that all of them have
ROOT = "params/"


def recognises(place: Path) -> bool:
    """A .npz file with the arrays of an image tower."""
    if place.suffix != ".npz" or not place.is_file() or not zipfile.is_zipfile(place):
        return False
    with zipfile.ZipFile(place) as held:
        return bool({f"{SIGN}.npy", f"{ROOT}{SIGN}.npy"} & set(held.namelist()))


def read(place: Path) -> DualEncoder:
    """The model in a file. Raises CheckpointError when it is broken, is no SigLIP or has no tokenizer beside it."""
    arrays = _arrays(place)
    try:
        tensors = from_big_vision(arrays)
        image, texts = _image(arrays, tensors, place), _text(arrays, tensors)
        scale = float(tensors["log_scale"].double().exp())
    except (KeyError, ValueError, IndexError, RuntimeError) as error:
        raise CheckpointError(f"{place}: no SigLIP of big_vision's ({error})") from error
    with torch.device("meta"):  # the weights are about to come
        model = DualEncoder(
            image=lookup("siglip_vit", Encoder).make(**image),
            text=lookup("siglip_text", Encoder).make(**texts),
            embed_dim=None,
            preprocessing=Preprocessing(image["size"], *HALF),
            tokenizer=_tokenizer(place.parent, texts["context"]),
            similarity=lookup("cosine", Similarity).make(),
            scale=scale,
            bias=0.0,
        )
    put(model, tensors, place)
    return model


def _arrays(place: Path) -> dict[str, Tensor]:
    """The arrays by their paths, with dots and without the root. Nothing is unpickled."""
    try:
        with np.load(place, allow_pickle=False) as held:
            found = {name.removeprefix(ROOT).replace("/", "."): _tensor(held[name]) for name in held.files}
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{place}: broken, or holds more than arrays ({error}); copy it again") from error
    return {name: value for name, value in found.items() if not name.startswith("opt.")}


def _tensor(array: np.ndarray) -> Tensor:
    if array.dtype.kind == "V" and array.dtype.itemsize == 2:  # bfloat16, of which numpy knows the length alone
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _image(arrays: Mapping[str, Tensor], tensors: Mapping[str, Tensor], place: Path) -> dict[str, Any]:
    patch, side = arrays["img.embedding.kernel"].shape[0], round(len(tensors["image.positions"]) ** 0.5)
    if side * side != len(tensors["image.positions"]):
        raise ValueError(f"{len(tensors['image.positions'])} positions are no square of patches")
    # So400m reads 384 pixels in patches of 14, of which 6 pixels are left over: only the file's name knows.
    stated = [int(n) for n in re.findall(r"\d+", place.stem) if int(n) // patch == side]
    size = stated[0] if stated else side * patch
    return {"size": size, "patch": patch, **_sizes(arrays, tensors, "image", "img.Transformer")}


def _text(arrays: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    vocabulary, inner = tensors["text.words.weight"].shape
    sizes = _sizes(arrays, tensors, "text", "txt.Encoder_0") | {"token_width": inner}
    sizes["width"] = len(tensors["text.head.weight"])
    return {"vocabulary": vocabulary, "context": len(tensors["text.positions"]), **sizes}


def _sizes(arrays: Mapping[str, Tensor], tensors: Mapping[str, Tensor], tower: str, encoder: str) -> dict[str, Any]:
    """The sizes of a tower's transformer. The number of heads is a dimension of big_vision's arrays alone."""
    pattern = re.compile(re.escape(encoder) + r"\.encoderblock(_0)?\.MultiHeadDotProductAttention_0\.query\.kernel")
    query = next((value for name, value in arrays.items() if pattern.fullmatch(name)), None)
    if query is None:
        raise KeyError(f"{encoder}.encoderblock_0.MultiHeadDotProductAttention_0.query.kernel")
    up = tensors[f"{tower}.transformer.blocks.0.up.weight"]
    return {
        "width": up.shape[1],
        "depth": sum(
            re.fullmatch(rf"{tower}\.transformer\.blocks\.\d+\.up\.weight", name) is not None for name in tensors
        ),
        "heads": query.shape[-2],
        "mlp_ratio": up.shape[0] / up.shape[1],
    }


def _tokenizer(folder: Path, context: int) -> Tokenizer:
    """The tokenizer that lies beside the file."""
    if (folder / CONFIG).is_file():
        return tokenizer_of(folder, context, fill=True)
    if (folder / FILE).is_file():
        held = text.from_file(folder / FILE, context)
        return Tokenizer(held.backend, context, held.pad, held.bos, held.eos, fill=True)
    if spiece := next((folder / name for name in SPIECE if (folder / name).is_file()), None):
        backend, end = siglip_backend(spiece)
        return Tokenizer(backend, context, end, None, end, fill=True)
    raise CheckpointError(
        f"{folder / FILE}: the file is missing. A .npz of big_vision has no tokenizer in it: put the tokenizer.json "
        "and tokenizer_config.json of the same model's transformers folder (google/siglip-base-patch16-224 for "
        f"webli_en_b16_224), or its {SPIECE[1]}, beside it"
    )
