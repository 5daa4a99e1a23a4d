"""Groups that are made once, of what comes first."""

import pytest
import torch

from dovetail.nn.clusters import Clusters
from tests.processes import run


def test_groups_are_made_when_enough_has_come_and_stay() -> None:
    torch.manual_seed(0)
    near, far = torch.randn(5, 3) * 0.01, torch.randn(5, 3) * 0.01 + 10
    clusters = Clusters(3, 2, 6)
    clusters.see(torch.cat([near[:2], far[:2]]))
    assert clusters(torch.cat([near, far])).eq(0).all(), "all are one group so far"
    clusters.see(torch.cat([near[2:], far[2:]]))
    found = clusters(torch.cat([near, far]))
    assert len(found[:5].unique()) == len(found[5:].unique()) == 1 and found[0] != found[5]
    before = clusters.centres.clone()
    clusters.see(torch.randn(9, 3))
    assert clusters.centres.equal(before)


def test_the_state_tells_all() -> None:
    clusters, other = Clusters(3, 2, 4), Clusters(3, 2, 4)
    x = torch.randn(8, 3)
    clusters.see(x)
    other.load_state_dict(clusters.state_dict())
    assert other(x).equal(clusters(x))


def test_too_small_a_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="2 vectors do not make 3 groups"):
        Clusters(4, 3, 2)


def _seen(rank: int, x: torch.Tensor) -> torch.Tensor:
    clusters = Clusters(3, 2, 6).double()
    clusters.see(x[:3] if rank == 0 else x[3:])
    return clusters(x)


def test_two_processes_make_the_groups_of_one() -> None:
    x = torch.randn(8, 3, dtype=torch.float64)
    one = Clusters(3, 2, 6).double()
    one.see(x)
    for found in run(_seen, 2, x):
        assert found.equal(one(x))
