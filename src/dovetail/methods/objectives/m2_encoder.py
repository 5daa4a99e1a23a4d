"""M2-Encoder: each loss is taken over a group of processes, not over all, so that less is sent and held.

Guo et al., "M2-Encoder: Advancing Bilingual Image-Text Understanding by Large-scale Efficient Pretraining", 2024.

    L = mean over groups g of  L_g,    L_g: the contrastive loss of the items of the processes in g alone

The gradients are averaged over all processes, as ever. Processes next to one another form a group, which on usual
machines is one machine; with no more processes than a group has this is `contrastive`, and so in a single one. All
captions of an image are its positives, as there.

No training code of theirs was found: neither the size of their groups nor how they are put together, nor what they
accumulate, could be confirmed. What is the paper's besides, its bilingual data and its fine-grained terms of a
first phase, is not here; two languages need a tokenizer that knows both. Differs from accumulating over micro-batches
in that a group's items come from several processes. Sent a step: what `benchmarks/grouped.py` measures.
"""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements, lookup
from dovetail.contracts import Batch, Objective, PairLoss
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.distributed import within


@implements(Objective)
class M2Encoder(nn.Module):
    """The contrastive loss of the cosine within groups of processes.

    Args:
        group: processes that meet in one loss; it must divide the number of processes.
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
    """

    requires = ()

    def __init__(self, group: int = 8, loss: PairLoss | None = None):
        super().__init__()
        self.group, self.loss = group, loss or build("infonce", PairLoss)
        self.whole: Any = lookup("contrastive", Objective).make(self.loss)
        self.similarity = self.whole.similarity

    def encode(self, model: DualEncoder, batch: Batch) -> Any:
        """Runs both towers."""
        return self.whole.encode(model, batch)

    def terms(self, outputs: Any, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The loss of this process's group; the mean over processes is the mean over groups.

        Raises ValueError where the processes are no groups of that size.
        """
        with within(self.group):
            found: Mapping[str, Tensor] = self.whole.terms(outputs, batch)
        return found
