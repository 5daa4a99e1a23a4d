"""CatLIP: what a caption names becomes the labels of its image, and pre-training a classification with many labels.

Mehta et al., "CatLIP: CLIP-level Visual Recognition Accuracy with 2.7x Faster Pre-training on Web-scale Image-Text
Data", 2024.

    L = mean over images  sum_c  -( y_ic log sigmoid(z_ic) + (1 - y_ic) log(1 - sigmoid(z_ic)) ),    z_i = W x_i + b

y_ic: 1 where a caption of image i names concept c; x_i: the image's vector in the shared space. The text tower, the
scale and the bias take no part and are frozen; no pair is compared. `classifier` gives new classes the rows of W that
their names stand for, the paper's transfer initialisation.

Confirmed against the authors' code: the loss, summed over concepts and divided by the batch alone; one label for each
concept however often it is named; images that name none stay; a vocabulary in the order of frequency (24,320 for
DataComp). Their concepts are the first noun senses of WordNet whose name is the lemmatised word, whatever its part of
speech; here they are content words in the singular (`data.concepts`), since WordNet would have to be downloaded:
synonyms stay apart, and a verb can be a concept. Not confirmed: the paper's frequency threshold, and what it does
with classes of several words; here they take the mean of their words' rows. The authors classify the tower's own
vector; here it is the model's embedding, which is what probes and search use.

Differs from `contrastive` in needing neither negatives nor a text tower; texts cannot be compared with its images.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.catalogue import implements
from dovetail.contracts import Batch, Objective
from dovetail.data.concepts import Vocabulary, concepts
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean


@implements(Objective)
class CatLIP(nn.Module):
    """Binary cross-entropy of every concept of the captions.

    Args:
        least: captions that must name a word for it to be a concept.
        most: concepts at most, the most frequent ones; None: all.
    """

    requires = ()
    vocabulary: Vocabulary

    def __init__(self, least: int = 10, most: int | None = None):
        super().__init__()
        self.least, self.most = least, most

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the vocabulary and a row for each concept; freezes all but the image's side.

        Raises DataError where no word is in `least` captions.
        """
        self.vocabulary = Vocabulary(captions, self.least, self.most)
        self.rows = nn.Linear(model.embed_dim, len(self.vocabulary))
        for name, p in model.named_parameters():
            if name.partition(".")[0] not in ("image", "image_projection"):
                p.requires_grad_(False)

    def encode(self, model: DualEncoder, batch: Batch) -> Float[Tensor, "b c"]:
        """The score of every concept for every image."""
        scores: Tensor = self.rows(model.image_features(batch.images).pooled)
        return scores

    def terms(self, outputs: Float[Tensor, "b c"], batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The mean over the images of all processes."""
        assert batch.concepts is not None
        with torch.autocast(batch.images.device.type, enabled=False):
            scores = wide(outputs)
            named = torch.zeros_like(scores).index_put(
                (batch.concepts.owner, batch.concepts.index), scores.new_ones(())
            )
            costs = F.binary_cross_entropy_with_logits(scores, named, reduction="none").sum(1)
            weights = torch.ones_like(costs) if batch.weights is None else batch.weights.to(costs.dtype)
            return {"concepts": weighted_mean(costs, weights)}

    @torch.no_grad()
    def classifier(self, names: Sequence[str]) -> nn.Linear:
        """A linear map from embeddings (as `image_features` gives them) to scores of new classes: rows and biases are
        the means over the concepts that a class's name consists of, or random where it has none of the vocabulary."""
        made = nn.Linear(self.rows.in_features, len(names)).to(self.rows.weight)
        for i, name in enumerate(names):
            if known := self.vocabulary(concepts(name)):
                made.weight[i], made.bias[i] = self.rows.weight[known].mean(0), self.rows.bias[known].mean()
        return made
