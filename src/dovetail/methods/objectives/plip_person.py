"""PLIP (person): images give back the colours that the caption tells, and its hidden attributes, and find their kind.

Zuo et al., "PLIP: Language-Image Pre-training for Person Representation Learning", 2023.

    L = L_contrast + a L_colour + b L_attribute
    L_contrast: InfoNCE of images and captions; all images and captions of one identity (equal ids) are positives
    L_colour = mean over captions  |painter(patches of the grey image, caption) - image|^2 / pixels
    painter: x = Norm(patch),  g = sigmoid(W2 GELU(W1 [mean x; caption])),  the pixels of a patch = MLP(g x)
    L_attribute: -log softmax(words)_l  at hidden attribute words, guessed by the text tower and blocks that look at
    the patches of the coloured image

The grey image goes through the same image tower. Attribute words are a list of English colours, patterns, sizes and
garments (ATTRIBUTES); of a caption that names none, any words are hidden, drawn anew with every step. Painter, blocks
and head serve training alone. Data: give a person's images one id.

The paper was read as far as its abstract; the authors publish their towers, but no code for training. From there: the
three tasks, grey images coloured by the text, attributes predicted from the image, contrast by identity. Ours, for
want of the text: the painter and its squared error, which words are hidden and how many, the blocks, InfoNCE, and all
weights. Pictures are painted smaller, `cell` pixels for a patch, and compared with the image averaged to that size.

Cost: a second pass of each tower. Differs from `contrastive` in the last two terms: equal ids are positives there too.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Objective, PairLoss
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pixels import normalised
from dovetail.nn.fusion import Fusion
from dovetail.nn.mlm import Costs, WordHead, hidden_words, mean_of_words, without
from dovetail.ops.contrast import contrast
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean

LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue look: ITU-R BT.601
_ATTRIBUTES = """
    red orange yellow green blue purple pink brown black white grey gray beige cream gold golden silver navy teal cyan
    magenta maroon tan khaki dark light bright striped plain dotted checked chequered checkered floral plaid small
    little tiny medium large big huge long short sleeveless man woman boy girl shirt t-shirt jacket coat sweater hoodie
    dress skirt trousers pants jeans shorts shoes boots sneakers sandals hat cap bag backpack handbag glasses scarf hair
"""
ATTRIBUTES = tuple(_ATTRIBUTES.split())


class Told(NamedTuple):
    """Pooled vectors; what painting the image by each caption costs, and its hidden words."""

    pairs: Encoded
    painted: Float[Tensor, " t"]
    hidden: Costs


@implements(Objective)
class PLIPPerson(nn.Module):
    """InfoNCE by identity, colours by captions, and hidden attributes by images.

    Args:
        colour: weight of the painting (a).
        attribute: weight of the hidden attributes (b).
        rate: share of the attribute words that are hidden.
        cell: height and width, in pixels, that a patch is painted with.
        depth: blocks that look at the image.
    """

    requires = ()

    def __init__(self, colour: float = 1.0, attribute: float = 1.0, rate: float = 0.5, cell: int = 4, depth: int = 2):
        super().__init__()
        self.colour, self.attribute, self.rate, self.cell, self.depth = colour, attribute, rate, cell, depth
        self.loss = build("infonce", PairLoss)
        self.similarity = build("cosine")
        self.progress = 0.0

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the painter, the blocks and the head, and looks up the ids of attribute words."""
        seen, said = model.image.token_width, model.embed_dim
        self.norm = nn.LayerNorm(seen)
        self.gate = nn.Sequential(nn.Linear(seen + said, seen), nn.GELU(), nn.Linear(seen, seen), nn.Sigmoid())
        self.paint = nn.Sequential(nn.Linear(seen, 2 * seen), nn.GELU(), nn.Linear(2 * seen, 3 * self.cell**2))
        self.fusion = Fusion(model.text.token_width, said, self.depth)
        self.head = WordHead.of(model.text, model.tokenizer.vocab_size)
        special = set(model.tokenizer.special)
        spelt = (model.tokenizer([word]).ids[0].tolist() for word in ATTRIBUTES)
        self.attributes = sorted({tuple(i for i in ids if i not in special) for ids in spelt} - {()})

    def advance(self, model: DualEncoder, progress: float) -> None:
        """Other words are hidden."""
        self.progress = progress

    def encode(self, model: DualEncoder, batch: Batch) -> Told:
        """Runs both towers twice: for the pairs, for the grey images and for the captions with hidden words.

        Raises DataError for an image tower without a grid of patches.
        """
        tokens, owner, tokenizer = batch.captions.tokens, batch.captions.owner, model.tokenizer
        pixels = normalised(model, batch.images)
        images, texts = model.image_features(pixels, tokens=True), model.text_features(tokens)
        grey = model.image(in_grey(pixels, model.preprocessing))
        if grey.grid is None or grey.tokens is None or images.tokens is None:
            raise DataError(
                "plip_person paints patches, and this image tower has no grid of them; give another --image"
            )
        painted = self._painted(grey.tokens[owner], texts.pooled, _cells(pixels, grey.grid, self.cell)[owner])
        named = _spelt(tokens.ids, self.attributes)
        hidden = hidden_words(tokens, tokenizer.special, self.rate, int(self.progress * 2**40), named)
        guessed = self.fusion(model.text(without(tokens, hidden, tokenizer.blank)).tokens, images.tokens[owner])
        pairs = Encoded(Features(images.pooled), Features(texts.pooled), model.scale, model.bias)
        return Told(pairs, painted, self.head.costs(guessed, tokens, hidden))

    def terms(self, outputs: Told, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The three tasks, weighted; hard negative captions colour and tell nothing."""
        pairs = outputs.pairs
        images, texts = sides(pairs, batch)
        whole = contrast(images, texts, self.similarity, self.loss, pairs.scale, pairs.bias)
        colours = weighted_mean(outputs.painted, texts.weights.to(outputs.painted.dtype))
        attributes = mean_of_words(outputs.hidden, texts.weights)
        return {"contrastive": whole, "colour": self.colour * colours, "attributes": self.attribute * attributes}

    def _painted(
        self, patches: Float[Tensor, "t p e"], captions: Float[Tensor, "t d"], wanted: Float[Tensor, "t p n"]
    ) -> Float[Tensor, " t"]:
        """The mean squared error of each caption's picture."""
        x = self.norm(patches)
        gates = self.gate(torch.cat([x.mean(1), captions.to(x.dtype)], 1))
        return (wide(self.paint(gates[:, None] * x)) - wanted).square().mean((1, 2))


def in_grey(pixels: Float[Tensor, "b 3 h w"], how: Preprocessing) -> Float[Tensor, "b 3 h w"]:
    """Normalised pixels without their colours, as normalised ones again."""
    mean, std, luma = (pixels.new_tensor(v).view(3, 1, 1) for v in (how.mean, how.std, LUMA))
    return (((pixels * std + mean) * luma).sum(1, keepdim=True) - mean) / std


def _cells(pixels: Float[Tensor, "b 3 h w"], grid: tuple[int, int], cell: int) -> Float[Tensor, "b p n"]:
    """The pictures, averaged to `cell` x `cell` pixels for each patch of the grid, patch by patch."""
    (rows, cols), b = grid, len(pixels)
    small = F.adaptive_avg_pool2d(pixels, (rows * cell, cols * cell))
    cut = small.reshape(b, 3, rows, cell, cols, cell).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(b, rows * cols, 3 * cell * cell)


def _spelt(ids: Int[Tensor, "t l"], words: Iterable[tuple[int, ...]]) -> Bool[Tensor, "t l"]:
    """Where one of the words stands, all of its pieces."""
    found = torch.zeros_like(ids, dtype=torch.bool)
    for word in words:
        starts = ids.shape[1] - len(word) + 1
        if starts > 0:
            here = torch.stack([ids[:, k : k + starts] == piece for k, piece in enumerate(word)]).all(0)
            for k in range(len(word)):
                found[:, k : k + starts] |= here
    return found
