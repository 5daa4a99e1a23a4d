"""Pixels for a tower that is run by itself."""

import torch

from dovetail.models.pixels import normalised
from tests.contracts.samples import dual_encoder


def test_bytes_are_normalised_and_floats_are_left_alone() -> None:
    model = dual_encoder()
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    found = normalised(model, pixels)
    torch.testing.assert_close(found, model.preprocessing.normalise(pixels))
    assert normalised(model, found) is found
    torch.testing.assert_close(model.image_projection(model.image(found).pooled), model.image_features(pixels).pooled)
