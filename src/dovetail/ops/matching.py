"""Who goes with whom, one to one, so that all pairs together cost least.

Kuhn, "The Hungarian method for the assignment problem", 1955; solved by scipy on the CPU, item by item.
"""

import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

WORST = 1e30  # what stands for costs that are no numbers, so that a model that diverges is matched all the same


def matched(
    costs: Float[Tensor, "b r c"],
    rows: Bool[Tensor, "b r"] | None = None,
    columns: Bool[Tensor, "b c"] | None = None,
) -> Int[Tensor, "b r"]:
    """The column of every row, for each of b items by itself; -1 where it has none.

    rows, columns: True where one is real; None: all are. As many pairs are made of an item as it has real rows or
    columns, whichever are fewer. No gradient flows.
    """
    b, r, c = costs.shape
    found = torch.full((b, r), -1, dtype=torch.int64)
    known = costs.detach().double().nan_to_num(WORST, WORST, -WORST).cpu()
    rows = torch.ones(b, r, dtype=torch.bool) if rows is None else rows.cpu()
    columns = torch.ones(b, c, dtype=torch.bool) if columns is None else columns.cpu()
    for i in range(b):
        those, these = rows[i].nonzero()[:, 0], columns[i].nonzero()[:, 0]
        row, column = linear_sum_assignment(known[i][those][:, these].numpy())
        found[i, those[torch.as_tensor(row)]] = these[torch.as_tensor(column)]
    return found.to(costs.device)
