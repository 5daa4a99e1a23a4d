"""Parameters divided among processes train as copies of them do, and come together again."""

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from dovetail.methods.encoders.hf_text import HFText
from dovetail.methods.encoders.timm import Timm
from dovetail.methods.encoders.vit import ViT
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.assemble import make_objective
from dovetail.training.log import read_log
from dovetail.training.loop import Trainer, accelerator
from dovetail.training.settings import Settings, Steps
from dovetail.training.sharding import blocks, filled, local, outline
from dovetail.training.task import Task
from dovetail.training.tuning import tuning
from tests import runs
from tests.processes import run as in_processes
from tests.training.test_processes import as_torchrun_does

SETTINGS = Settings(learning_rate=1e-3, precision="fp32", log_every=1, evaluations=0, ema=0.9)
BERT = {
    "model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
    "intermediate_size": 32,
}  # fmt: skip
VARIATIONS = {
    "plain": SETTINGS,
    "accumulated": replace(SETTINGS, accumulate=2, clip=0.1),
    "in pieces": replace(SETTINGS, micro_batch=2),
    "bf16": replace(SETTINGS, precision="bf16"),
}
KINDS = ("towers", "convolutions", "lora", "lock-image", "one map for two")


def _model(kind: str) -> DualEncoder:
    torch.manual_seed(0)
    model = runs.model()
    if kind == "convolutions":  # channels last, with running statistics
        model = DualEncoder(
            Timm("test_resnet", size=32), model.text, 16, model.preprocessing, model.tokenizer, model.alike
        )
    if kind in ("lora", "lock-image"):
        tuning(kind).choose(model)
    return model


def _trainer(folder: Path, settings: Settings, kind: str, steps: int) -> Trainer:
    folder.mkdir(parents=True, exist_ok=True)
    model, objective = _model(kind), make_objective("infonce")
    if kind == "one map for two":  # and an attention that is both the model's and the objective's
        objective = make_objective("flair(2)")
        objective.begin(model, ())
    console, task = Console(file=io.StringIO()), Task(model, objective)
    return Trainer(task, settings, Steps(steps), folder, accelerator(settings), console=console)


def _run(rank: int, folder: Path, settings: Settings, kind: str) -> tuple[list[float], dict[str, Tensor]]:
    """The losses, and the weights of the whole model; stopped and continued on the way."""
    for steps in (2, 4):
        trainer = _trainer(folder, settings, kind, steps)
        assert trainer.resume() == (steps == 4)
        trainer.run(lambda start: (runs.loaded(seed=2 * i + rank) for i in count(start)), lambda model: None)
    model = trainer.model
    assert not model.training and not any(isinstance(x, DTensor) for x in model.state_dict().values())
    return [row["loss"] for row in read_log(folder / "log.jsonl")], model.state_dict()


def _divided_or_copied(rank: int, folder: Path) -> list[tuple[str, Any, Any]]:
    as_torchrun_does(rank, 2)
    found = []
    for name, settings in VARIATIONS.items():
        for kind in KINDS if name == "plain" else ("towers",):
            out = folder / f"{name} {kind}"
            copied = _run(rank, out / "copied", settings, kind)
            found.append((f"{name} {kind}", copied, _run(rank, out / "divided", replace(settings, shard=True), kind)))
    return found


def test_divided_parameters_train_as_copied_ones(tmp_path: Path) -> None:
    first, second = in_processes(_divided_or_copied, 2, tmp_path)
    for (name, (losses, weights), (again, assembled)), (_, _, (_, theirs)) in zip(first, second, strict=True):
        near = 2e-2 if "bf16" in name else 1e-4
        assert len(losses) == (4 if name else 0) and again == pytest.approx(losses, abs=near), name
        assert assembled.keys() == weights.keys() == theirs.keys()
        for key, weight in weights.items():
            torch.testing.assert_close(assembled[key], weight, atol=near, rtol=near, msg=f"{name}: {key}")
            assert torch.equal(assembled[key], theirs[key]), f"{name}: {key}"


def _held(rank: int) -> list[tuple[int, int]]:
    """What this process holds and how much there is: of parameters, gradients, optimiser state and average."""
    as_torchrun_does(rank, 2)
    settings = replace(SETTINGS, shard=True)
    trainer = Trainer(
        Task(_model("towers"), make_objective("infonce")), settings, Steps(1), Path(), accelerator(settings)
    )
    trainer.backward(runs.batch(seed=rank), 1, True)
    trainer.optimizer.step()
    parameters = list(trainer.task.parameters())
    gradients = [p.grad for p in parameters if p.grad is not None]
    momenta = [x for p in parameters for x in trainer.optimizer.state[p].values() if x.ndim]
    assert trainer.ema is not None
    each = parameters, gradients, momenta, list(trainer.ema.average.values())
    return [(sum(local(x).numel() for x in held), sum(x.numel() for x in held)) for held in each]


def test_each_process_holds_its_share_of_everything() -> None:
    parameters = sum(p.numel() for p in _model("towers").parameters())
    for held in zip(*in_processes(_held, 2), strict=True):
        (mine, every), (theirs, _) = held
        assert every in (parameters, 2 * parameters - 2)  # two momenta of all but the scale
        assert mine + theirs == pytest.approx(every, rel=1e-3) and mine == pytest.approx(theirs, rel=0.05)


@pytest.mark.parametrize(
    ("tower", "parts"),
    [
        (lambda: ViT(size=32, patch=16, width=32, depth=3, heads=2), {"Block": 3}),
        (lambda: Timm("test_vit", size=32), {"Block": 6}),
        (lambda: Timm("test_convnext"), {"ConvNeXtBlock": 8, "ConvNeXtStage": 4}),
        (lambda: Timm("mobilenetv3_small_050"), {"InvertedResidual": 10, "Sequential": 6}),
        (lambda: HFText(config=BERT), {"BertLayer": 3}),
    ],
)
def test_repeated_parts_are_found_whatever_they_are_called(
    tower: Callable[[], nn.Module], parts: dict[str, int]
) -> None:
    assert Counter(type(block).__name__ for block in blocks(tower())) == parts


def test_lone_layers_and_lone_blocks_are_left_alone() -> None:
    def block() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 2), nn.ReLU())

    assert blocks(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), block())) == []
    assert blocks(nn.ModuleList([nn.Sequential(nn.ReLU(), nn.ReLU())] * 2)) == []  # without parameters
    nested = nn.ModuleList([nn.ModuleList([block(), block()]) for _ in range(2)])
    assert [len(list(found.modules())) for found in blocks(nested)] == [3, 3, 3, 3, 7, 7]  # inner ones first


def test_a_model_is_filled_with_its_own_weights_without_a_copy() -> None:
    model = _model("convolutions").train()
    empty = outline(model)
    assert all(p.is_meta for p in empty.parameters()) and not any(b.is_meta for b in empty.buffers())
    again = filled(empty, model.state_dict())
    assert model.training and not again.training and all(p.is_meta for p in empty.parameters())
    for mine, theirs in zip(again.state_dict().values(), model.state_dict().values(), strict=True):
        assert mine.data_ptr() == theirs.data_ptr()
    images = runs.batch().images
    with torch.no_grad():
        assert torch.equal(again.image_features(images).pooled, model.eval().image_features(images).pooled)
