"""By how much our numbers differ from those of the libraries that a checkpoint is from, family by family.

    python -m tests.parity --out results/parity_cpu.json

Models of random weights, as the tests of the layouts make them: for each the largest difference of an element of the
unit image and text embeddings, and of a logit.
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoTokenizer

import dovetail
from dovetail.evaluation.claims.trial import machine
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import write_json
from tests.models import hf_duals, hf_pair
from tests.models.layouts import open_clips
from tests.models.layouts.test_open_clip_libraries import TIMM
from tests.models.layouts.test_open_clip_towers import NATIVE
from tests.models.layouts.test_transformers import CLIPS, SIGLIPS

Numbers = tuple[Tensor, Tensor, Tensor]
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    rows = []
    with tempfile.TemporaryDirectory() as place, torch.no_grad():
        for i, row in enumerate(compared(Path(place))):
            rows.append(row)
            print(i, row["family"], row["variant"], file=sys.stderr)
    print(table(rows))
    if options.out:
        write_json({"device": machine(), "torch": torch.__version__, "rows": rows}, options.out)


def compared(place: Path) -> Iterator[Row]:
    """Every family and variant."""
    for name, options in CLIPS.items():
        yield _row(
            "transformers CLIP",
            name,
            *_transformers(hf_pair.clip(place / f"clip {name}", **options), place / f"clip {name}"),
        )
    for name, options in SIGLIPS.items():
        folder = place / f"siglip {name}"
        yield _row("transformers SigLIP", name, *_transformers(hf_pair.siglip(folder, **options), folder))
    for name in hf_duals.CONFIGS:
        folder = place / name
        hf_duals.saved(hf_duals.theirs(name), folder)
        yield _row(
            "transformers dual", name, *_transformers(transformers.AutoModel.from_pretrained(folder).eval(), folder)
        )
    for name, (cfg, _) in NATIVE.items():
        yield _row("open_clip", name, *_open_clip(dict(cfg), place / f"oc {name}"))
    yield _row("open_clip SigLIP", "timm trunk", *_siglip(place / "oc siglip"))
    for name, (vision, text, _) in TIMM.items():
        dim = 64 if "none" in name else 12
        small = open_clips.TEXT | {"width": dim if text.get("proj_type") == "none" else 24, "heads": 2} | text
        cfg = {"embed_dim": dim, "vision_cfg": vision, "text_cfg": small, "custom_text": True}
        yield _row("open_clip timm", name, *_open_clip(json.loads(json.dumps(cfg)), place / f"timm {name}"))


def _transformers(model: Any, folder: Path) -> tuple[Numbers, Numbers]:
    ours = dovetail.load(folder)
    pixels = torch.randn(3, 3, ours.preprocessing.size, ours.preprocessing.size)
    padding: Any = "max_length" if ours.tokenizer.fill else True
    words = AutoTokenizer.from_pretrained(folder)(
        hf_pair.TEXTS, padding=padding, truncation=True, max_length=ours.tokenizer.context, return_tensors="pt"
    )
    kept = {k: words[k] for k in ("input_ids", "attention_mask") if k in words}
    found = model(pixel_values=pixels, **kept)
    return _ours(ours, pixels, hf_pair.TEXTS), (found.image_embeds, found.text_embeds, found.logits_per_image)


def _open_clip(cfg: dict[str, Any], folder: Path) -> tuple[Numbers, Numbers]:
    return _against(open_clips.saved(cfg, folder), folder)


def _siglip(folder: Path) -> tuple[Numbers, Numbers]:
    open_clips.words(folder)
    return _open_clip(json.loads(json.dumps(open_clips.SIGLIP)), folder)


def _against(model: Any, folder: Path) -> tuple[Numbers, Numbers]:
    ours = dovetail.load(folder)
    pixels = torch.randn(3, 3, ours.preprocessing.size, ours.preprocessing.size)
    ids = open_clips.tokens(folder, open_clips.CAPTIONS)
    images, texts = normalize(model.encode_image(pixels), dim=-1), normalize(model.encode_text(ids), dim=-1)
    logits = model.logit_scale.exp() * images @ texts.T + (0 if model.logit_bias is None else model.logit_bias)
    return _ours(ours, pixels, open_clips.CAPTIONS), (images, texts, logits)


def _ours(model: DualEncoder, pixels: Tensor, texts: list[str]) -> Numbers:
    images = normalize(model.image_features(pixels).pooled, dim=-1)
    words = normalize(model.text_features(model.tokenizer(texts)).pooled, dim=-1)
    return images, words, model.scale * images @ words.T + (0 if model.bias is None else model.bias)


def _row(family: str, variant: str, ours: Numbers, theirs: Numbers) -> Row:
    normal = (*(normalize(x, dim=-1) for x in theirs[:2]), theirs[2])
    image, text, logit = (float((a - b).abs().max()) for a, b in zip(ours, normal, strict=True))
    return {"family": family, "variant": variant, "image": image, "text": text, "logit": logit}


def table(rows: list[Row]) -> str:
    lines = ["| family | variant | image embedding | text embedding | logit |", "|---|---|---|---|---|"]
    lines += [
        f"| {r['family']} | {r['variant']} | {r['image']:.1e} | {r['text']:.1e} | {r['logit']:.1e} |" for r in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
