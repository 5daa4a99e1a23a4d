"""A small CLIP of open_clip's and the dual encoder that has the same weights."""

from typing import Any

import open_clip
import torch
from open_clip.model import CLIP

from dovetail.contracts import Batch, Captions, Kind, Tokens
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.text import train_bpe
from dovetail.methods.encoders.clip_text import ClipText
from dovetail.methods.encoders.clip_vit import ClipViT
from dovetail.methods.similarities.cosine import Cosine
from dovetail.models.clip_weights import renamed
from dovetail.models.dual_encoder import DualEncoder

END = 59  # the highest id
LENGTHS = (12, 3, 7, 5, 1)


def pair(quick: bool = False, bias: float | None = None, eps: float = 1e-5) -> tuple[DualEncoder, Any]:
    """Ours and theirs in float64, with random weights that leave no part without effect."""
    theirs = CLIP(
        embed_dim=12,
        vision_cfg=open_clip.CLIPVisionCfg(
            image_size=32, patch_size=8, width=32, head_width=8, layers=3, norm_kwargs={"eps": eps}
        ),
        text_cfg=open_clip.CLIPTextCfg(
            context_length=16, vocab_size=END + 1, width=24, heads=3, layers=2, norm_kwargs={"eps": eps}
        ),
        quick_gelu=quick,
        init_logit_bias=bias,
    ).double()
    for p in theirs.parameters():
        if p.ndim:
            torch.nn.init.normal_(p, std=0.3)
    activation = "quick_gelu" if quick else "gelu"
    ours = DualEncoder(
        image=ClipViT(size=32, patch=8, width=32, depth=3, heads=4, activation=activation, eps=eps),
        text=ClipText(
            vocabulary=END + 1, context=16, width=24, depth=2, heads=3, activation=activation, eps=eps
        ),
        embed_dim=12,
        preprocessing=Preprocessing(size=32),
        tokenizer=train_bpe(["a red circle"], vocab_size=300, context=16),
        similarity=Cosine(),
        bias=bias,
    ).double()  # fmt: skip
    ours.load_state_dict(renamed(theirs.state_dict()))
    return ours, theirs


def captions() -> Tokens:
    """Texts of different lengths, each with the highest id last, padded to the longest; what lies in the padding is
    not 0."""
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    ids = torch.randint(1, END, mask.shape)
    ids[range(len(LENGTHS)), [n - 1 for n in LENGTHS]] = END
    return Tokens(ids, mask)


def padded(x: Tokens, context: int = 16) -> torch.Tensor:
    """The ids as open_clip reads them: zeros up to the context."""
    ids = torch.zeros(len(x.ids), context, dtype=torch.int64)
    ids[:, : x.ids.shape[1]] = x.ids * x.mask
    return ids


def batch() -> Batch:
    """Five images with a caption each."""
    pixels = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    owner = torch.arange(5)
    return Batch(pixels, Captions(captions(), owner, torch.full_like(owner, Kind.RAW)), owner)
