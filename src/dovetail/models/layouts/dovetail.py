"""Dovetail's own layout of a model on disk: a folder with weights, configuration, tokenizer and preprocessing.

model.safetensors   config.json   preprocessing.json   tokenizer.json   tokenizer_config.json
"""

from pathlib import Path

from dovetail.catalogue import CatalogueError, configuration, rebuild
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.text import Tokenizer
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, load_tensors, put, read_json, save_tensors, write_json
from dovetail.nn.frames import FrameTower

FORMAT = 1
WHAT = "a run or checkpoint folder of Dovetail"
WEIGHTS, CONFIG, PREPROCESSING = "model.safetensors", "config.json", "preprocessing.json"


def write(model: DualEncoder, folder: str | Path) -> Path:
    """Writes the model into `folder` (made if missing); each file is written beside and renamed. Returns the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "format": f"dovetail-{FORMAT}",
        "model": "dual_encoder",
        "image": configuration(model.image),
        "text": configuration(model.text),
        "similarity": configuration(model.alike),
        "embed_dim": model.embed_dim if model.projected else None,
        "has_bias": model.bias is not None,
    }
    if model.senses:
        config["senses"] = {sense: tower.options for sense, tower in model.senses.items()}
    tensors = {k: v.detach().cpu() for k, v in model.state_dict().items()}
    save_tensors(tensors, folder / WEIGHTS)
    model.tokenizer.save(folder)
    write_json(model.preprocessing.to_json(), folder / PREPROCESSING)
    write_json(config, folder / CONFIG)
    return folder


def recognises(place: Path) -> bool:
    """A folder with our preprocessing, or whose configuration states our format."""
    if (place / PREPROCESSING).is_file():
        return True
    config = read_json(place / CONFIG) if (place / CONFIG).is_file() else None
    return isinstance(config, dict) and "format" in config


def read(place: Path) -> DualEncoder:
    """The model in a run or checkpoint folder. Raises CheckpointError when a file is missing or does not fit the
    others."""
    config = read_json(place / CONFIG)
    if not isinstance(config, dict) or config.get("format") != f"dovetail-{FORMAT}":
        found = config.get("format") if isinstance(config, dict) else None
        raise CheckpointError(f"{place / CONFIG}: the format is {found!r}, this version reads 'dovetail-{FORMAT}'")
    try:
        model = DualEncoder(
            image=rebuild(config["image"]),
            text=rebuild(config["text"]),
            embed_dim=config["embed_dim"],
            preprocessing=Preprocessing.from_json(read_json(place / PREPROCESSING)),
            tokenizer=Tokenizer.load(place),
            similarity=rebuild(config["similarity"]),
            bias=0.0 if config["has_bias"] else None,
        )
        model.senses.update({sense: FrameTower(**options) for sense, options in config.get("senses", {}).items()})
    except KeyError as error:
        raise CheckpointError(f"{place / CONFIG}: the entry {error} is missing") from error
    except (CatalogueError, TypeError) as error:
        raise CheckpointError(f"{place / CONFIG}: {error}") from error
    put(model, load_tensors(place / WEIGHTS), place / WEIGHTS)
    return model
