"""A training step of one and the same CLIP, as Dovetail and as open_clip make it: what train_step.py and
profile_step.py measure."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
from open_clip.loss import ClipLoss
from open_clip.model import CLIP
from torch import Tensor

from dovetail.contracts import Batch, Captions, Kind
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.sources import open_source
from dovetail.data.text import Tokenizer, clip_bpe
from dovetail.data.worlds import Scenes
from dovetail.methods.encoders.clip_text import ClipText
from dovetail.methods.encoders.clip_vit import ClipViT
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.methods.similarities.cosine import Cosine
from dovetail.models.clip_weights import renamed
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.optimizer import adamw
from dovetail.training.settings import Settings
from dovetail.training.task import Task

BATCHES = 4  # different ones, in turn
RATE, DECAY, LARGEST = 1e-4, 0.1, 4.6052  # learning rate, weight decay, and the logarithm of the largest scale
Step = Callable[[int], Tensor]  # the number of a batch -> its loss


@dataclass(frozen=True)
class Shape:
    """Sizes of both towers, and the batch."""

    size: int
    patch: int
    width: int
    depth: int
    text_width: int
    text_depth: int
    batch: int
    embed_dim: int = 512
    context: int = 77
    head_width: int = 64
    vocabulary: int = 49408


SHAPES = {
    "tiny": Shape(size=32, patch=16, width=64, depth=1, text_width=64, text_depth=1, batch=4, embed_dim=64),
    "small": Shape(size=112, patch=16, width=384, depth=4, text_width=384, text_depth=4, batch=32, embed_dim=384),
    "ViT-B/32": Shape(size=224, patch=32, width=768, depth=12, text_width=512, text_depth=12, batch=16),
}


@dataclass(frozen=True)
class Work:
    """The batches, as each side's loader hands them over: bytes and short captions; normalised floats and long ones."""

    tokenizer: Tokenizer
    ours: list[Batch]
    theirs: list[tuple[Tensor, Tensor]]

    @property
    def tokens(self) -> float:
        """Mean of a caption, its beginning and end included."""
        masks = [batch.captions.tokens.mask for batch in self.ours]
        return sum(int(mask.sum()) for mask in masks) / sum(map(len, masks))


def work(shape: Shape, data: str | None, device: str) -> Work:
    """Batches of random pixels and real captions, one an image."""
    torch.manual_seed(0)
    tokenizer = clip_bpe(Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz"), shape.context)
    ours, theirs, how = [], [], Preprocessing(size=shape.size)
    said = captions(data, BATCHES * shape.batch)
    order = torch.arange(shape.batch)
    for start in range(0, len(said), shape.batch):
        tokens = tokenizer(said[start : start + shape.batch])
        pixels = torch.randint(0, 256, (shape.batch, 3, shape.size, shape.size), dtype=torch.uint8)
        batch = Batch(pixels, Captions(tokens, order, torch.full_like(order, Kind.RAW)), start + order)
        ours.append(batch.to(device))
        padded = torch.nn.functional.pad(tokens.ids, (0, shape.context - tokens.ids.shape[1]))
        theirs.append((how.normalise(pixels).to(device), padded.to(device)))
    return Work(tokenizer, ours, theirs)


def captions(data: str | None, count: int) -> list[str]:
    """The first caption of `count` images. Raises ValueError when there are fewer."""
    source = Scenes(count) if data is None else open_source(data)
    found = (source[i].captions for i in range(len(source)))
    said = [some[0].text for some, _ in zip(filter(None, found), range(count), strict=False)]
    if len(said) < count:
        raise ValueError(f"{data} has {len(said)} images with a caption, {count} are needed; make --batch smaller")
    return said


def models(shape: Shape, tokenizer: Tokenizer, device: str) -> tuple[DualEncoder, CLIP]:
    """The same CLIP twice, with the same weights: ours and open_clip's."""
    torch.manual_seed(0)
    s = shape
    vision = open_clip.CLIPVisionCfg(s.depth, s.width, s.head_width, patch_size=s.patch, image_size=s.size)
    text_heads = s.text_width // s.head_width
    text = open_clip.CLIPTextCfg(s.context, s.vocabulary, width=s.text_width, heads=text_heads, layers=s.text_depth)
    theirs = CLIP(s.embed_dim, vision, text)
    ours = DualEncoder(
        ClipViT(s.size, s.patch, s.width, s.depth, s.width // s.head_width),
        ClipText(s.vocabulary, s.context, s.text_width, s.text_depth, text_heads),
        s.embed_dim,
        Preprocessing(size=s.size),
        tokenizer,
        Cosine(),
    )
    ours.load_state_dict(renamed(theirs.state_dict()))
    return ours.to(device).train(), theirs.to(device).train()


def compile_ours(model: DualEncoder) -> None:
    """torch.compile, one block a tower: its code serves all others. Captions make a batch of any number of tokens."""
    for block in model.image.transformer.blocks:
        block.compile()
    for block in model.text.transformer.blocks:
        block.compile(dynamic=True)


def autocast(precision: str, device: str) -> torch.autocast:
    """What both sides compute the model and the loss in."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")


def our_step(model: DualEncoder, batches: list[Batch], precision: str, device: str) -> Step:
    """What the training loop does between two batches."""
    task = Task(model, Contrastive())
    optimizer = adamw(task, Settings(learning_rate=RATE, weight_decay=DECAY))

    def step(number: int) -> Tensor:
        with autocast(precision, device):
            loss = sum(task.terms(batches[number]).values())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        model.clamp_scale()
        return loss.detach()

    return step


def their_step(model: CLIP, batches: list[tuple[Tensor, Tensor]], precision: str, device: str) -> Step:
    """What open_clip's command does between two batches, with the optimiser that it makes."""
    loss_of = ClipLoss()
    trained = list(model.parameters())
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": DECAY},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98), eps=1e-6)

    def step(number: int) -> Tensor:
        optimizer.zero_grad()
        with autocast(precision, device):
            loss: Tensor = loss_of(*model(*batches[number]))
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, LARGEST)
        return loss.detach()

    return step
