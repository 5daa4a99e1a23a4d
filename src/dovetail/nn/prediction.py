"""Two sides that predict one another's projections, as SimSiam and BYOL have two views of a picture do.

Chen & He, "Exploring Simple Siamese Representation Learning", 2021; Grill et al., "Bootstrap Your Own Latent: A New
Approach to Self-Supervised Learning", 2020:

    v = BN(MLP(x)),  p = MLP(v);    the price of a prediction p of v:  |unit(p) - unit(v)|^2 = 2 - 2 cos(p, v)

No gradient reaches what is predicted.
"""

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.nn.projector import OverBatch, perceptron
from dovetail.ops.similarity import normalize


class Predicting(nn.Module):
    """One side: a projector, normalised over the batch at its end, and a predictor of the other side's projection.

    Args:
        width: length of the vectors that come in.
        inner: of the hidden layers.
        out: of a projection.
    """

    def __init__(self, width: int, inner: int, out: int):
        super().__init__()
        self.projector = nn.Sequential(perceptron((width, inner, out)), OverBatch(out))
        self.predictor = perceptron((out, inner, out))

    def forward(self, x: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n e"], Float[Tensor, "n e"]]:
        """Projections and predictions."""
        v = self.projector(x)
        return v, self.predictor(v)


def mistaken(predicted: Float[Tensor, "n e"], found: Float[Tensor, "n e"]) -> Float[Tensor, " n"]:
    """The price of each prediction, from 0 to 4."""
    return 2 - 2 * (normalize(predicted) * normalize(found.detach())).sum(1)
