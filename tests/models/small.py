"""A small dual encoder with its tokenizer, and pictures for it."""

import numpy as np
import torch
from PIL import Image

from dovetail.data.preprocessing import Preprocessing
from dovetail.data.text import train_bpe
from dovetail.methods.encoders.text_transformer import TextTransformer
from dovetail.methods.encoders.vit import ViT
from dovetail.methods.similarities.cosine import Cosine
from dovetail.models.dual_encoder import DualEncoder

TEXTS = ["a red circle", "two small blue squares left of a green star", "a dog", "ein Fuß im Schnee", "一只猫 🐈", ""]


def model(bias: float | None = None, width: int = 16) -> DualEncoder:
    """Towers of two blocks with random weights, in evaluation mode."""
    tokenizer = train_bpe(TEXTS, vocab_size=300, context=32)
    made = DualEncoder(
        image=ViT(size=32, patch=8, width=width, depth=2, heads=2),
        text=TextTransformer(vocabulary=tokenizer.vocab_size, context=32, width=width, depth=2, heads=2),
        embed_dim=12,
        preprocessing=Preprocessing(size=32),
        tokenizer=tokenizer,
        similarity=Cosine(),
        scale=7.0,
        bias=bias,
    )
    for p in made.parameters():
        if p.ndim:
            torch.nn.init.normal_(p, std=0.3)
    return made.eval()


def pictures(n: int) -> list[Image.Image]:
    """Pictures of noise of different sizes."""
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (30 + i, 40 - i, 3), dtype=np.uint8)) for i in range(n)]
