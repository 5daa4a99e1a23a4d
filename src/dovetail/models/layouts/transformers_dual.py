"""Transformers folders of ALIGN, AltCLIP, Chinese-CLIP, GroupViT and VisionTextDualEncoder.

config.json   model.safetensors (or several, or pytorch_model.bin)   preprocessor_config.json   tokenizer files

The transformers library reads and writes the tensors, for its names of them change from release to release; the towers
are its own halves of the model. No code from the folder is executed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tokenizers
import torch
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor, nn

from dovetail.catalogue import CatalogueError, build, entry_of, lookup
from dovetail.contracts import Encoder
from dovetail.data.text import Tokenizer, from_file
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, put, read_json, write_json
from dovetail.models.layouts.transformers_pixels import preprocessing_of, preprocessor_config

WHAT = "a transformers folder of align, altclip, chinese_clip, groupvit or vision-text-dual-encoder"
TYPES = ("align", "altclip", "chinese_clip", "groupvit", "vision-text-dual-encoder")
CONFIG, PIXELS, WORDS, WORDS_CONFIG = (
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
TOWERS = {"image": "hf_dual_image", "text": "hf_dual_text"}


def recognises(place: Path) -> bool:
    """A folder whose configuration states one of TYPES."""
    config = read_json(place / CONFIG) if (place / CONFIG).is_file() else None
    return isinstance(config, dict) and config.get("model_type") in TYPES


def read(place: Path) -> DualEncoder:
    """The model in a folder. Raises CheckpointError when a file is missing or does not fit the others."""
    from transformers.initialization import no_init_weights

    from dovetail.nn.hf_dual import as_json, family_of

    whole = _whole(place)
    config = as_json(whole.config)
    family = family_of(config)
    log_scale = _log_scale(getattr(whole, family.scale).detach(), family.scale)
    with no_init_weights():  # they are read
        image, text = (lookup(key, Encoder).make(config) for key in TOWERS.values())
    model = DualEncoder(
        image=image,
        text=text,
        embed_dim=None,
        preprocessing=preprocessing_of(place),
        tokenizer=from_file(place, _context(text)),
        similarity=build("cosine"),
        scale=float(log_scale.double().exp()),
    )
    tensors = {"log_scale": log_scale}
    if family.scale == "temperature":
        tensors["text.temperature"] = whole.temperature.detach()
    for side, half in (("image", family.image), ("text", family.text)):
        body, projection = half.of(whole)
        tensors |= {f"{side}.body.{k}": v for k, v in body.state_dict().items()}
        tensors |= {f"{side}.projection.{k}": v for k, v in projection.state_dict().items()}
    put(model, tensors, place)
    return model


def write(model: DualEncoder, folder: str | Path) -> Path:
    """Writes a model of this layout's towers into `folder` (made if missing), as transformers would. Returns the
    folder.

    Raises CheckpointError for a model of other towers, or one with a bias or with maps after the towers.
    """
    from transformers.initialization import no_init_weights

    from dovetail.nn.hf_dual import family_of, made

    image, text = _halves(model)
    folder, family = Path(folder), family_of(image.dual)
    with no_init_weights():  # all of them are replaced
        whole = made(image.dual)
    for half, tower in ((family.image, image), (family.text, text)):
        setattr(whole, half.body, tower.body)
        if half.projection is not None:
            setattr(whole, half.projection, tower.projection)
    setattr(whole, family.scale, nn.Parameter(_stored_scale(model, family.scale)))
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".part-", dir=folder) as beside:
        with _silent():
            whole.save_pretrained(beside)
        _write_tokenizer(model.tokenizer, Path(beside))
        write_json(preprocessor_config(model.preprocessing), Path(beside) / PIXELS)
        for path in sorted(Path(beside).iterdir(), key=lambda p: p.name == CONFIG):  # which says it is whole, last
            os.replace(path, folder / path.name)
    return folder


def _whole(place: Path) -> Any:
    """The transformers model with its weights."""
    from transformers import AutoModel

    try:
        with _silent():
            found, told = AutoModel.from_pretrained(
                str(place), local_files_only=True, trust_remote_code=False, dtype="auto", output_loading_info=True
            )
    except Exception as error:  # it raises anything on files that are missing, broken or of another kind
        raise CheckpointError(f"{place}: transformers cannot read a model from this folder ({error})") from error
    for what, names in (("misses", told["missing_keys"]), ("has unexpected", told["unexpected_keys"])):
        if names:
            listed = ", ".join(sorted(names)[:3])
            raise CheckpointError(f"{place} {what} {len(names)} tensors, e.g. {listed}; is it from another model?")
    for name, module in found.named_modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            kept = _stored(place, f"{name}.weight")
            if kept is not None and kept.shape == module.weight.shape:
                module.weight.data = kept.to(module.weight.dtype)  # some families zero the padding's row when they load
    return found


def _stored(place: Path, name: str) -> Tensor | None:
    """A tensor as it lies in the folder's files; None where it has another name there."""
    for path in sorted(place.glob("*.safetensors")):
        with safe_open(path, "pt") as held:
            if name in held.keys():  # noqa: SIM118 (it is no mapping)
                found: Tensor = held.get_tensor(name)
                return found
    for path in sorted(place.glob("pytorch_model*.bin")):
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if name in tensors:
            return tensors[name].clone()
    return None


@contextmanager
def _silent() -> Iterator[None]:
    """Without the library's progress bars."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _context(text: Any) -> int:
    """How many tokens have a position; RoBERTa's count from behind the padding's id."""
    words = text.body.config
    offset = next((m.padding_idx + 1 for m in text.body.modules() if "Roberta" in type(m).__name__
                   and getattr(m, "padding_idx", None) is not None), 0)  # fmt: skip
    return int(getattr(words, "max_position_embeddings", 77)) - int(offset)


def _log_scale(value: Float[Tensor, "..."], name: str) -> Float[Tensor, ""]:
    """The logarithm of the factor on the cosines, of a scale as transformers stores it."""
    flat = value.reshape(())
    return flat if name == "logit_scale" else -flat.double().log().float()


def _stored_scale(model: DualEncoder, name: str) -> Float[Tensor, ""]:
    """The counterpart of `_log_scale`. A temperature that was read is itself again unless the scale has learnt since:
    its logarithm in float32 would not give it back to the last bit."""
    now = model.log_scale.detach()
    if name == "logit_scale":
        return now.clone()
    held: Any = model.text.temperature  # type: ignore[attr-defined]
    kept = held is not None and torch.equal(_log_scale(held, name), now.float())
    return held.reshape(()).clone() if kept else (-now.double()).exp().to(now.dtype)


def _halves(model: DualEncoder) -> tuple[Any, Any]:
    """The towers. Raises CheckpointError unless they are the two halves of one model."""
    image: Any = model.image
    text: Any = model.text
    for side, tower in (("image", image), ("text", text)):
        try:
            key = entry_of(tower).key
        except CatalogueError:
            key = type(tower).__name__
        if key != TOWERS[side]:
            raise CheckpointError(f"{WHAT} has no name for the {side} tower {key}; it holds {TOWERS[side]} alone")
    if image.dual != text.dual:
        raise CheckpointError(f"{WHAT} holds the halves of one model; these towers are of two")
    if model.projected or model.bias is not None:
        what = "a bias" if model.bias is not None else "maps after the towers"
        raise CheckpointError(f"{WHAT} has no place for {what}")
    return image, text


def _write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """As a fast tokenizer of transformers."""
    backend = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
    backend.no_truncation()  # transformers truncates when asked, at model_max_length
    named = {"pad_token": tokenizer.pad, "bos_token": tokenizer.bos, "eos_token": tokenizer.eos}
    tokens = {name: backend.id_to_token(i) for name, i in named.items() if i is not None}
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": tokenizer.context}
    (folder / WORDS).write_text(backend.to_str(pretty=False), encoding="utf-8")
    write_json(kind | {name: token for name, token in tokens.items() if token is not None}, folder / WORDS_CONFIG)
