"""A table of names, read both ways."""

import pytest
import torch

from dovetail.models.renaming import Renaming, under

TABLE = Renaming(
    (
        ("scale", "log_scale"),
        ("head.in_", "pool.qkv."),
        *under("layers.{}.", "blocks.{}.", {"q.": "qkv[0].", "k.": "qkv[1].", "mlp.": "up."}),
        ("towers.{}.layers.{}.norm.", "{}.norms.{}."),
    )
)


def theirs() -> dict[str, torch.Tensor]:
    names = ("layers.0.q.weight", "layers.0.k.weight", "layers.10.k.weight", "layers.10.q.weight", "layers.0.mlp.bias")
    tensors = {name: torch.randn(2, 3) for name in names}
    return tensors | {
        "scale": torch.randn(()),
        "head.in_weight": torch.randn(6),
        "towers.1.layers.2.norm.bias": torch.ones(1),
    }


def test_to_ours_and_back() -> None:
    given = theirs()
    ours = TABLE.ours(given, "a test")
    assert set(ours) == {
        "log_scale",
        "pool.qkv.weight",
        "blocks.0.qkv.weight",
        "blocks.10.qkv.weight",
        "blocks.0.up.bias",
        "1.norms.2.bias",
    }
    assert torch.equal(ours["blocks.10.qkv.weight"][:2], given["layers.10.q.weight"]), "in the table's order"
    assert torch.equal(ours["blocks.10.qkv.weight"][2:], given["layers.10.k.weight"])
    assert ours["log_scale"] is given["scale"]
    back = TABLE.theirs(ours, "a test")
    assert back.keys() == given.keys()
    assert all(torch.equal(back[name], value) for name, value in given.items())


@pytest.mark.parametrize(
    "name", ["scale.weight", "scales", "layers.x.q.weight", "layers.0.v.weight", "layers.0.q.", "q.weight"]
)
def test_a_name_that_is_not_in_the_table(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} is no tensor of a test$"):
        TABLE.ours({name: torch.zeros(2)}, "a test")
    with pytest.raises(ValueError, match=r"^blocks\.0\.down\.weight is no tensor of ours$"):
        TABLE.theirs({"blocks.0.down.weight": torch.zeros(2)}, "ours")
