"""The language model inside of a dual encoder: the text tower, or, where an adapter ends the tower, what it adapts."""

from typing import Any

from torch import nn

from dovetail.models.dual_encoder import DualEncoder


def language_part(model: DualEncoder) -> str:
    """Its name among the model's parts, such as low-rank maps are asked for by."""
    return "text.language" if isinstance(getattr(model.text, "language", None), nn.Module) else "text"


def language_model(model: DualEncoder) -> Any:
    """The language model, an Encoder of texts."""
    return model.get_submodule(language_part(model))
