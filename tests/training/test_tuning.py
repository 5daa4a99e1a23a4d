"""What each preset trains."""

import pytest
from torch import nn

from dovetail.data.records import DataError
from dovetail.methods.encoders.timm import Timm
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.tuning import frozen_parts, tuning
from tests.models.small import model


def _trained(preset: str, made: DualEncoder | None = None) -> set[str]:
    made = made or model(bias=-1.0)
    tuning(preset).choose(made)
    return {n for n, p in made.named_parameters() if p.requires_grad}


ALL = {n for n, _ in model(bias=-1.0).named_parameters()}
HEADS = {"image_projection.weight", "text_projection.weight", "log_scale", "bias"}


def test_full_and_heads() -> None:
    assert _trained("full") == ALL
    assert _trained("heads") == HEADS


@pytest.mark.parametrize("locked", ["image", "text"])
def test_a_locked_tower_stays_and_its_map_is_trained(locked: str) -> None:
    assert _trained(f"lock-{locked}") == {n for n in ALL if not n.startswith(f"{locked}.")}


def test_the_last_block_and_what_follows() -> None:
    found = _trained("last-1")
    inside = {n for n in found if n.startswith(("image.", "text."))}
    assert inside == {n for n in ALL if any(p in n for p in (".transformer.blocks.1.", ".transformer.norm."))}
    assert found - inside == HEADS
    assert _trained("last-2") > found
    with pytest.raises(DataError, match="--tune last-3: the image tower has 2 blocks"):
        _trained("last-3")


def test_the_last_blocks_of_a_tower_of_timm() -> None:
    made = model()
    made.image = Timm("test_vit", size=32)
    found = {n for n in _trained("last-1", made) if n.startswith("image.")}
    blocks = len(made.image.body.blocks)
    assert found and all(
        n.startswith((f"image.body.blocks.{blocks - 1}.", "image.body.norm", "image.body.fc_norm")) for n in found
    )


def test_lora_trains_low_rank_maps_alone() -> None:
    assert all("lora_" in n for n in _trained("lora"))


def test_towers_that_share_a_space_train_their_own_last_maps() -> None:
    base = model()
    bare = DualEncoder(base.image, base.text, None, base.preprocessing, base.tokenizer, base.alike)
    with pytest.raises(DataError, match="no maps into the shared space"):
        _trained("heads", bare)
    bare.image.head = nn.Linear(3, 3)
    assert _trained("heads", bare) == {"image.head.weight", "image.head.bias", "log_scale"}


def test_what_is_frozen_whole_is_found_at_its_top() -> None:
    made = model()
    tuning("lock-image").choose(made)
    assert frozen_parts(made) == [made.image]
    tuning("full").choose(made)
    assert frozen_parts(made) == []


def test_another_name_is_refused() -> None:
    with pytest.raises(DataError, match="--tune most: there are full, lora, heads, lock-image, lock-text and last-N"):
        tuning("most")
