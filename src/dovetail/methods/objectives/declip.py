"""DeCLIP: more from the same pairs: two views of each image, their likeness, and texts much like the image's own.

Li et al., "Supervision Exists Everywhere: A Data Efficient Contrastive Language-Image Pre-training Paradigm", 2022.

    L = a mean_v CLIP(x_v, y) + s L_self + n mean_v L_near(x_v) + m L_words
    L_self = -1/2b  sum_i  cos(p_i1, z_i2) + cos(p_i2, z_i1),    z = projector(x), p = predictor(z), no gradient into z
    L_near(x) = mean_i  InfoNCE of x_i among the texts' nearest neighbours in a queue, that of its own text being right
    L_words = mean over hidden words  -log softmax of the word that was there                     (`nn.mlm`)

x_v (b d): the images of view v; y (t d): the captions; the queue holds the last captions' unit vectors and random ones
at the start; a text's neighbour is sought before it joins. Confirmed against the authors' code: a = 0.4, s = n = m =
0.2; the projector of three layers of 1024, its last normalised too, and the predictor of 512 and 1024; the queue of
65,536; L_near in the direction from image to text alone.

Not here: the paper's altered texts; several captions of an image are all its positives instead. Of the authors' two
strong views the first here is the image as the recipe augments it; theirs also lose their colour or are blurred. They
contrast the texts with words hidden, here the text tower runs twice. Which words are hidden depends on the text and the
step alone. Projector, predictor, queue and the words' head are the objective's and not kept with the model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Crops, Features, Kind, Objective, PairLoss
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.nn.mlm import WordHead, hidden_words, mean_of_words, without
from dovetail.nn.projector import OverBatch, perceptron
from dovetail.nn.repeatable import repeatable
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import gather
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.sides import Side
from dovetail.ops.similarity import normalize

RATE = 0.15  # of the words that are hidden, as in BERT


@dataclass(frozen=True)
class Viewed:
    """Images and captions, the vectors of the further views, and the hidden words."""

    pairs: Encoded
    views: Float[Tensor, "v d"]
    words: tuple[Float[Tensor, " t"], Int[Tensor, " t"]]  # what a caption's hidden ones cost together; how many


@implements(Objective)
class DeCLIP(nn.Module):
    """A pair loss over two views, a siamese loss between them, the captions' nearest neighbours and hidden words.

    Args:
        pairs: weight of the first term (a).
        siamese: weight of the second (s).
        nearest: weight of the third (n).
        words: weight of the fourth (m).
        queue: how many captions are remembered.
        inner: width of the projector; the predictor's hidden layer has half of it.
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
    """

    requires = ()
    views = (Crops(1, (0.2, 1.0), 0.5, (0.4, 0.4, 0.4)),)
    projector: nn.Module
    predictor: nn.Module
    head: WordHead
    memory: Tensor
    place: Tensor

    def __init__(
        self,
        pairs: float = 0.4,
        siamese: float = 0.2,
        nearest: float = 0.2,
        words: float = 0.2,
        queue: int = 65_536,
        inner: int = 1024,
        loss: PairLoss | None = None,
    ):
        super().__init__()
        self.pairs, self.siamese, self.nearest, self.words = pairs, siamese, nearest, words
        self.queue, self.inner, self.step = queue, inner, 0
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the projector, the predictor, the words' head and the queue."""
        inner = self.inner
        with repeatable():
            projector = nn.Sequential(perceptron((model.embed_dim, inner, inner, inner)), OverBatch(inner))
            predictor = perceptron((inner, inner // 2, inner))
            memory = normalize(torch.randn(self.queue, model.embed_dim))
            head = WordHead.of(model.text, model.tokenizer.vocab_size)
        self.projector, self.predictor = projector.to(model.log_scale), predictor.to(model.log_scale)
        self.head = head.to(model.log_scale)
        self.register_buffer("memory", memory.to(model.log_scale))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64, device=model.device))

    def advance(self, model: DualEncoder, progress: float) -> None:
        """Other words are hidden."""
        self.step = int(progress * (1 << 40))

    def encode(self, model: DualEncoder, batch: Batch) -> Viewed:
        """Runs both towers, the image tower over the second view and the text tower with hidden words too."""
        assert batch.views is not None
        tokens, tokenizer = batch.captions.tokens, model.tokenizer
        hidden = hidden_words(tokens, tokenizer.special, RATE, self.step)
        states = model.text(without(tokens, hidden, tokenizer.blank)).tokens
        assert states is not None
        views = model.image_features(batch.views.images).pooled
        return Viewed(encoded(model, batch, tokens=False), views, self.head.costs(states, tokens, hidden))

    def terms(self, outputs: Viewed, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """All four, weighted. The mean over processes is the value of the joined batch, and so are the gradients. In
        training the captions join the queue."""
        assert batch.views is not None
        owner, scale, bias = batch.views.owner, outputs.pairs.scale, outputs.pairs.bias
        first, texts = sides(outputs.pairs, batch)
        second = Side(Features(outputs.views), batch.ids[owner], first.weights[owner])
        with torch.autocast(batch.images.device.type, enabled=False):
            near = self._neighbours(texts, batch.captions.kind != Kind.NEGATIVE)
            alike = self._siamese(wide(first.features.pooled), wide(outputs.views), batch)
        met = [
            [contrast(x, y, self.similarity, self.loss, scale, bias) for x in (first, second)] for y in (texts, near)
        ]
        pairs, nearest = (torch.stack(both).sum() for both in met)
        # The neighbours ask nothing, so that of the mean over both directions half is missing.
        terms = {"contrastive": self.pairs * pairs / 2, "nearest": self.nearest * nearest}
        words = mean_of_words(outputs.words, texts.weights)
        return {**terms, "siamese": self.siamese * alike, "words": self.words * words}

    def _siamese(self, x: Float[Tensor, "b d"], y: Float[Tensor, "v d"], batch: Batch) -> Float[Tensor, ""]:
        """How unlike each view's prediction is the other view."""
        assert batch.views is not None
        owner, weights = batch.views.owner, torch.ones_like(x[:, 0]) if batch.weights is None else batch.weights.to(x)
        z, other = self.projector(x), self.projector(y)
        there = (normalize(self.predictor(z))[owner] * normalize(other.detach())).sum(1)
        back = (normalize(self.predictor(other)) * normalize(z.detach())[owner]).sum(1)
        return -weighted_mean((there + back) / 2, weights[owner])

    @torch.no_grad()
    def _neighbours(self, texts: Side, true: Bool[Tensor, " t"]) -> Side:
        """The remembered caption that is nearest to each of the true ones."""
        y = normalize(wide(texts.features.pooled[true]))
        found = self.memory[(y @ self.memory.T).argmax(1)]
        if self.training:
            latest = gather(y)[-self.queue :]
            at = (self.place + torch.arange(len(latest), device=y.device)) % self.queue
            self.memory[at] = latest.to(self.memory)
            self.place.copy_((self.place + len(latest)) % self.queue)
        return Side(Features(found), texts.ids[true], torch.zeros_like(texts.weights[true]))
