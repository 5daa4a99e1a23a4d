"""Halves of the dual models of the transformers library: which of a model's parts make the vector of an image, and of a
text.

Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", 2020. A half is a body, a way to take one
vector from what it says, and a map of that vector into the shared space.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

# Of one machine or release, never executed, or a matter of the weights.
LOCAL = ("_name_or_path", "transformers_version", "auto_map", "dtype", "torch_dtype")


@dataclass(frozen=True)
class Half:
    """Where a dual model keeps one of its halves.

    body, projection: names of its parts; a projection of None is none. pool: the body's output -> one vector an item.
    token_width: the body -> length of a token's vector. idle: a part of the body that the vector does not depend on.
    """

    body: str
    projection: str | None
    pool: Callable[[Any], Float[Tensor, "b d"]]
    token_width: Callable[[Any], int]
    idle: str | None = None

    def of(self, whole: Any) -> tuple[Any, nn.Module]:
        """The body and the projection of a dual model. The idle part learns nothing: DDP refuses parameters that it
        waits for in vain."""
        body = getattr(whole, self.body)
        idle = getattr(body, self.idle) if self.idle else None
        for p in [] if idle is None else idle.parameters():
            p.requires_grad_(False)
        return body, nn.Identity() if self.projection is None else getattr(whole, self.projection)


@dataclass(frozen=True)
class Family:
    """The two halves of a model type, and what its scale is called: `logit_scale`, a logarithm, or `temperature`, by
    which the scores are divided."""

    image: Half
    text: Half
    scale: str = "logit_scale"


def first(output: Any) -> Float[Tensor, "b d"]:
    """The last state of the first token."""
    found: Tensor = output.last_hidden_state[:, 0]
    return found


def pooled(output: Any) -> Float[Tensor, "b d"]:
    """What the body itself calls its pooled output."""
    found: Tensor = output.pooler_output
    return found


def hidden(body: Any) -> int:
    """The width that a body's configuration states."""
    return int(body.config.hidden_size)


def _mapped(body: Any) -> int:
    return int(body.transformation.out_features)


def _last_channels(body: Any) -> int:
    return int(body.encoder.blocks[-1].projection.project_bn.num_features)


_IMAGE = Half("vision_model", "visual_projection", pooled, hidden)
FAMILIES: Mapping[str, Family] = {
    "align": Family(
        Half("vision_model", None, pooled, _last_channels),
        Half("text_model", "text_projection", first, hidden, idle="pooler"),
        "temperature",
    ),
    "altclip": Family(_IMAGE, Half("text_model", "text_projection", first, _mapped)),
    "chinese_clip": Family(_IMAGE, Half("text_model", "text_projection", first, hidden)),
    "groupvit": Family(_IMAGE, Half("text_model", "text_projection", pooled, hidden)),
    "vision-text-dual-encoder": Family(_IMAGE, Half("text_model", "text_projection", pooled, hidden)),
}


def family_of(config: Mapping[str, Any]) -> Family:
    """The family of a dual model's configuration. Raises ValueError for one that is not in FAMILIES."""
    kind = str(config.get("model_type"))
    if kind not in FAMILIES:
        raise ValueError(f"model_type must be one of {', '.join(FAMILIES)}, not {kind!r}")
    return FAMILIES[kind]


def made(config: Mapping[str, Any]) -> Any:
    """The dual model of a configuration, with new weights. Remote code is never executed.

    Raises ValueError for a model type that is not in FAMILIES.
    """
    family_of(config)
    return AutoModel.from_config(AutoConfig.for_model(**_plain(config)), trust_remote_code=False)


def as_json(config: Any) -> dict[str, Any]:
    """A transformers configuration as values for `json.dump`, without what is LOCAL."""
    return _plain(json.loads(json.dumps(config.to_dict())))


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _plain(v) if isinstance(v, dict) else v for k, v in config.items() if k not in LOCAL}
