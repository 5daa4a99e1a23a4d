"""Fine-tuning a trained model: which of its numbers are trained, and how fast.

| preset | trained | learning rate |
|---|---|---|
| full | everything | 1e-5 |
| lora | low-rank maps beside every linear map of the towers | 2e-4 |
| heads | the maps into the shared space, the scale and the bias | 1e-3 |
| lock-image | everything but the image tower | 1e-5 |
| lock-text | everything but the text tower | 1e-5 |
| last-N | the last N blocks of each tower, what comes after them, and the heads | 2e-5 |

A locked image tower: Zhai et al., "LiT: Zero-Shot Transfer with Locked-image text Tuning", 2022. The rates suit some
thousand pairs and a batch of about a hundred; more data bear higher ones.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from dovetail.data.records import DataError
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.lora import add_lora

HEADS = re.compile(r"(^|\.|_)(head|proj|projection|pool|pooler)(\.|$)|^(log_scale|bias)$")
OUTSIDE = re.compile(r"(projection\.|^log_scale$|^bias$)")


@dataclass(frozen=True)
class Tuning:
    """A way to fine-tune. `choose` sets which parameters of a model require gradients."""

    choose: Callable[[DualEncoder], None]
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Trained:
    """A trained model to begin with: where it comes from, what it is, and which preset tunes it."""

    name: str
    model: DualEncoder
    tune: str = "full"


def tuning(name: str) -> Tuning:
    """The preset of that name. Raises DataError for another name."""
    last = re.fullmatch(r"last-(\d+)", name)
    if last and int(last[1]) > 0:
        return Tuning(lambda model: last_blocks(model, int(last[1])), 2e-5, 0.1)
    if name not in PRESETS:
        raise DataError(f"--tune {name}: there are {', '.join(PRESETS)} and last-N, such as last-2")
    return PRESETS[name]


def everything(model: DualEncoder) -> None:
    """All parameters."""
    model.requires_grad_(True)


def heads(model: DualEncoder) -> None:
    """The maps into the shared space alone; where there are none, the towers' own last maps. Raises DataError for
    towers that have none either."""
    model.requires_grad_(False)
    projections = [p for n, p in model.named_parameters() if n.endswith("projection.weight") and "." in n]
    own = [p for n, p in model.named_parameters() if OUTSIDE.search(n) or (not projections and HEADS.search(n))]
    if not any(p.ndim for p in own):
        raise DataError("this model has no maps into the shared space to train alone; use --tune last-1")
    for p in own:
        p.requires_grad_(True)


def without_image(model: DualEncoder) -> None:
    """All but the image tower."""
    model.requires_grad_(True)
    _tower(model, "image").requires_grad_(False)


def without_text(model: DualEncoder) -> None:
    """All but the text tower."""
    model.requires_grad_(True)
    _tower(model, "text").requires_grad_(False)


def last_blocks(model: DualEncoder, count: int) -> None:
    """The last blocks of each tower with all that follows them, and what lies outside the towers. Raises DataError for
    a tower with fewer blocks."""
    model.requires_grad_(True)
    for what in ("image", "text"):
        tower = _tower(model, what)
        blocks = max((list(m.children()) for m in tower.modules() if _is_stack(m)), key=len, default=[])
        if count > len(blocks):
            raise DataError(f"--tune last-{count}: the {what} tower has {len(blocks)} blocks")
        first = next(p for p in blocks[-count].parameters())
        earlier = True
        for p in tower.parameters():  # in the order in which the tower is computed
            earlier = earlier and p is not first
            p.requires_grad_(not earlier)


def low_rank(model: DualEncoder) -> None:
    """LoRA. Raises DataError for towers without linear maps."""
    try:
        add_lora(model)
    except ValueError as error:
        raise DataError(f"--tune lora: {error}") from error


def frozen_parts(module: nn.Module) -> list[nn.Module]:
    """What is frozen whole, and has to stay in evaluation mode: it drops nothing and its running statistics stay."""
    own = list(module.parameters())
    if own and not any(p.requires_grad for p in own):
        return [module]
    return [part for child in module.children() for part in frozen_parts(child)]


def _tower(model: DualEncoder, what: str) -> nn.Module:
    return model.get_submodule(what)


def _is_stack(module: nn.Module) -> bool:
    """Whether these are blocks of one kind, one after the other."""
    return isinstance(module, nn.ModuleList | nn.Sequential) and len({type(m) for m in module.children()}) == 1


PRESETS = {
    "full": Tuning(everything, 1e-5, 0.1),
    "lora": Tuning(low_rank, 2e-4, 0.0),
    "heads": Tuning(heads, 1e-3, 0.1),
    "lock-image": Tuning(without_image, 1e-5, 0.1),
    "lock-text": Tuning(without_text, 1e-5, 0.1),
}
