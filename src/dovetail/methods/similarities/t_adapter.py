"""T-adapter: a heavy-tailed bell on the sphere: near is like, and far is far whatever the distance.

Yang, Lu and Yu, "Adapting Multi-modal Large Language Model to Concept Drift in the Long-tailed Open World", 2024.

    s_ij = 2 / (1 + k (1 - <x_i, y_j>))

x, y: unit vectors. Shapes: pooled (r d), (c d) -> (r c), in 2 / (1 + 2 k) .. 2. As a density over the sphere it is a
Student-t in place of the exponential (von Mises and Fisher) that a softmax over cosines is: it rises steeply near the
pair and has all but no slope elsewhere, so that the many images of a frequent thing push the few of a rare one less.

Confirmed against the authors' code: the formula and k = 16 in the contrast of images and texts, divided by CLIP's
learnt temperature, 0.07 at the start. The paper's own text could not be read; it later became "... Concept Drift From
Pre-training Onwards". The t-vMF similarity of Kobayashi (2021), (1 + c) / (1 + k (1 - c)) - 1 of the cosine c, is this
one times 1 + 1 / 2k less a constant: in a softmax with a learnt scale the two are the same.

Not here: the classifier of the same form over learnt class vectors, the finding of out-of-distribution images, for
which they publish no code, and their data sets. Differs from the cosine in slope alone: it ranks any gallery as the
cosine does.
"""

from jaxtyping import Float
from torch import Tensor

from dovetail.catalogue import implements
from dovetail.contracts import Features, Similarity
from dovetail.ops.similarity import normalize


@implements(Similarity)
class TAdapter:
    """The Student-t similarity of pooled vectors.

    Args:
        concentration: how narrow the bell is (k), above 0.
    """

    symmetric = True
    tokens = False

    def __init__(self, concentration: float = 16.0):
        if concentration <= 0:
            raise ValueError(f"concentration {concentration} must be above 0")
        self.concentration = concentration

    def prepare(self, features: Features) -> Features:
        """Unit vectors."""
        return Features(normalize(features.pooled))

    def scores(self, rows: Features, cols: Features) -> Float[Tensor, "r c"]:
        """The similarities of unit vectors."""
        return 2 / (1 + self.concentration * (1 - rows.pooled @ cols.pooled.T))
