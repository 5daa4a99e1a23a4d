"""The two sides that a batch is contrasted as."""

import torch

from dovetail.contracts import Kind
from dovetail.methods.similarities.cosine import Cosine
from dovetail.models.contrasting import encoded, sides
from tests.contracts.samples import batch as small_batch
from tests.contracts.samples import dual_encoder


def test_false_captions_are_columns_without_an_image_and_without_a_question() -> None:
    batch = small_batch()
    left, right = sides(encoded(dual_encoder(similarity=Cosine()).eval(), batch, False), batch)
    assert torch.equal(left.ids, batch.ids) and left.weights.tolist() == [1] * 5
    false = batch.captions.kind == Kind.NEGATIVE
    assert int(false.sum()) == 1
    assert torch.equal(right.ids[~false], batch.ids[batch.captions.owner][~false])
    assert not torch.isin(right.ids[false], batch.ids).any()
    assert right.weights.tolist() == [0 if f else 1 for f in false]


def test_two_false_captions_are_not_each_other_s_positives() -> None:
    batch = small_batch()
    batch.captions.kind[:] = Kind.NEGATIVE
    _, right = sides(encoded(dual_encoder(similarity=Cosine()).eval(), batch, False), batch)
    assert len(right.ids.unique()) == len(right.ids)
