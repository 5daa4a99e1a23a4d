"""Put a model on the hub, with a card that says how it was made and how good it is."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import yaml
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from rich.console import Console

from dovetail.data.records import DataError
from dovetail.evaluation.card import model_card
from dovetail.evaluation.result import Results
from dovetail.models.convert import converted, written
from dovetail.models.files import read_json, write_json
from dovetail.models.layouts.open_clip import CONFIG as OPEN_CLIP
from dovetail.training.assemble import make_objective


def push(
    run: str,
    to: str,
    layout: Literal["dovetail", "transformers", "open_clip"] = "dovetail",
    private: bool = False,
    message: str = "Upload a model",
    dry: Path | None = None,
) -> None:
    """Put a model on the hub, with a card that says how it was made and how good it is.

    What is sent: weights (safetensors), configuration, preprocessing, tokenizer, and the
    card (README.md) with its figures. Neither data nor where they lie. Log in with `hf auth login` first.

    Args:
        run: a run, or a checkpoint folder of any layout.
        to: the id it shall have, owner/name.
        layout: in which library's layout.
        private: for its owner alone.
        message: of the commit.
        dry: write what would be sent into this new folder, and send nothing.
    """
    with TemporaryDirectory() as place:
        folder = staged(run, to, layout, Path(place) / "model")
        if dry is not None:
            if dry.exists():
                raise DataError(f"{dry} exists already; choose another --dry, nothing was changed")
            shutil.copytree(folder, dry)
            Console(stderr=True).print(f"what would be sent: {dry}", soft_wrap=True)
            return
        _send(folder, to, private, message)
    Console(stderr=True).print(f"dovetail.load({to!r})", soft_wrap=True)


def staged(run: str, to: str, layout: str, folder: Path) -> Path:
    """Writes all that is to be sent into a new folder."""
    model = converted(run)
    written(model, layout, folder)
    _named(folder / OPEN_CLIP, to)
    config = _config(Path(run))
    figures = Path(run) / "metrics.json"
    results = Results.read(figures).results if figures.is_file() else ()
    objective: Any = make_objective(config["objective"]) if config else None
    methods = [objective, *(getattr(objective, n) for n in ("loss", "similarity") if hasattr(objective, n))]
    card = model_card(to, model, layout, config, results, methods if config else [])
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def _named(config: Path, to: str) -> None:
    """On the hub open_clip looks for a tokenizer under its id; in a folder of its own, which it calls `.`, it does
    not."""
    held = read_json(config) if config.is_file() else {}
    text = held.get("model_cfg", {}).get("text_cfg", {})
    if text.get("hf_tokenizer_name") == ".":
        text["hf_tokenizer_name"] = to
        write_json(held, config)


def _config(run: Path) -> dict[str, Any]:
    path = run / "config.yaml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _send(folder: Path, to: str, private: bool, message: str) -> None:
    api = HfApi()
    try:
        api.create_repo(to, private=private, exist_ok=True)
        api.upload_folder(repo_id=to, folder_path=folder, commit_message=message)
    except OfflineModeIsEnabled as error:
        raise DataError(
            f"{to}: HF_HUB_OFFLINE is set, so nothing is sent; unset it, or look at --dry FOLDER"
        ) from error
    except HFValidationError as error:
        raise DataError(f"--to {to}: {error}") from error
    except (HfHubHTTPError, OSError) as error:
        raise DataError(
            f"{to}: the hub did not take it ({error}); is `hf auth login` done, and may you write there?"
        ) from error
