"""Ranks, nearest items and mistakes of the blocked walk equal those of the whole matrix."""

import numpy as np
import pytest
import torch

from dovetail.contracts import Features
from dovetail.evaluation.matching import Matching, Mistake, as_features
from dovetail.evaluation.metrics import position
from tests.evaluation import oracles
from tests.evaluation.similarities import LateInteraction, features, inner

Q, G = 23, 37


def matching(cells: int = 1 << 23) -> Matching:
    torch.manual_seed(3)
    query_ids, gallery_ids = torch.randint(0, 6, (Q,)), torch.arange(G) % 8
    return Matching(features(torch.randn(Q, 5)), features(torch.randn(G, 5)), query_ids, gallery_ids, cells=cells)


def scores_of(m: Matching) -> list[list[float]]:
    return oracles.cosines(m.queries.pooled.numpy(), m.gallery.pooled.numpy())


@pytest.mark.parametrize("cells", [1, G, 2 * G, 5 * G + 3, 22 * G, Q * G, 1 << 23])
def test_ranks_at_every_block_size(cells: int) -> None:
    m = matching(cells)
    expected = oracles.ranks(scores_of(m), m.query_ids.tolist(), m.gallery_ids.tolist())
    assert position(m.ranks()).tolist() == expected
    assert max(expected) > 5  # the case is not trivial
    assert m.ranks().right.tolist() == [int((m.gallery_ids == i).sum()) for i in m.query_ids]


@pytest.mark.parametrize("cells", [1, 3 * G, 1 << 23])
def test_nearest(cells: int) -> None:
    m, rows = matching(cells), [4, 0, 22]
    indices, scores = m.nearest(torch.tensor(rows), 6)
    for row, found, values in zip(rows, indices.tolist(), scores.tolist(), strict=True):
        whole = scores_of(m)[row]
        assert found == sorted(range(G), key=lambda i: -whole[i])[:6]
        assert values == pytest.approx([whole[i] for i in found], abs=1e-6)


def test_nearest_of_a_small_gallery_is_all_of_it() -> None:
    assert matching().nearest(torch.tensor([1]), 1000)[0].shape == (1, G)


@pytest.mark.parametrize("cells", [1, 3 * G, 1 << 23])
def test_mistakes(cells: int) -> None:
    m = matching(cells)
    expected = []
    for query, row in enumerate(scores_of(m)):
        own = [i for i in range(G) if m.gallery_ids[i] == m.query_ids[query]]
        right = max(own, key=lambda i: row[i])
        wrong = max((i for i in range(G) if i not in own), key=lambda i: row[i])
        if row[wrong] > row[right]:
            expected.append(Mistake(query, wrong, right, row[wrong] - row[right]))
    expected.sort(key=lambda mistake: -mistake.margin)
    for count in (3, 1000):
        found = m.mistakes(count)
        assert [(f.query, f.wrong, f.right) for f in found] == [(e.query, e.wrong, e.right) for e in expected[:count]]
        assert [f.margin for f in found] == pytest.approx([e.margin for e in expected[:count]], abs=1e-6)


def test_a_perfect_matching_has_no_mistakes() -> None:
    same = features(torch.eye(9))
    assert Matching(same, same, torch.arange(9), torch.arange(9)).mistakes(5) == []


@pytest.mark.parametrize("cells", [1, 2 * G, 1 << 23])
def test_a_similarity_of_tokens_is_walked_in_tiles(cells: int) -> None:
    torch.manual_seed(0)
    queries = Features(torch.zeros(Q, 1), torch.randn(Q, 3, 4), torch.tensor([1, 1, 0]).bool().expand(Q, 3))
    gallery = Features(torch.zeros(G, 1), torch.randn(G, 6, 4), torch.arange(6) < torch.randint(1, 7, (G, 1)))
    similarity, whole = LateInteraction(), LateInteraction()
    ids = torch.arange(Q)
    m = Matching(queries, gallery, ids, torch.arange(G) % Q, similarity, cells=cells)
    expected = oracles.ranks(whole.scores(queries, gallery).tolist(), ids.tolist(), (torch.arange(G) % Q).tolist())
    assert position(m.ranks()).tolist() == expected
    assert similarity.largest <= max(cells, max(1, cells // G) * 3 * 6)


def test_equal_embeddings_tie_however_the_matrix_is_cut() -> None:
    x = torch.randn(1, 300)
    for cells in (1, 7 * 50, 1 << 23):
        m = Matching(
            features(x.expand(40, -1)), features(x.expand(50, -1)), torch.arange(40), torch.arange(50), cells=cells
        )
        ranks = m.ranks()
        assert ranks.above.eq(0).all() and ranks.tied.eq(49).all() and ranks.level.eq(1).all()


def test_a_query_without_a_right_item_is_named() -> None:
    x = features(torch.randn(3, 2))
    with pytest.raises(ValueError, match="query 2 has no right item"):
        Matching(x, x, torch.tensor([0, 1, 7]), torch.arange(3))
    with pytest.raises(ValueError, match="no queries"):
        Matching(features(torch.zeros(0, 2)), x, torch.arange(0), torch.arange(3))


def test_a_similarity_that_gives_nan_is_refused() -> None:
    x = features(torch.full((2, 2), 1e30))
    with pytest.raises(ValueError, match="the similarity gave NaN or infinity"):
        Matching(x, x, torch.arange(2), torch.arange(2), inner).ranks()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_of_any_precision_become_features(dtype: type) -> None:
    assert as_features(np.ones((2, 3), dtype), "image").pooled.dtype == torch.float32


def test_embeddings_that_cannot_be_ranked_are_named() -> None:
    x = torch.zeros(4, 3)
    x[2, 1] = float("nan")
    with pytest.raises(ValueError, match="image embedding 2 holds NaN"):
        as_features(x, "image")
    with pytest.raises(ValueError, match=r"text embeddings must be a matrix .* \(4,\)"):
        as_features(x[:, 0], "text")
