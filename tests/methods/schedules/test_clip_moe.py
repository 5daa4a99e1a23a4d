"""CLIP-MoE: its losses in loops, what each stage leaves, a run by name that is stopped and continued, and its claim."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dovetail
from dovetail.cli.main import main
from dovetail.contracts import Features
from dovetail.data.records import DataError
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.methods.schedules.clip_moe import CLIPMoE, _Placed, _Routed, _Routing
from dovetail.models.contrasting import Encoded
from dovetail.models.files import load_tensors
from dovetail.models.lora import add_lora
from dovetail.nn.clusters import Clusters
from dovetail.nn.experts import blocks_of, mixtures_of
from tests import runs
from tests.contracts.samples import batch, begun, dual_encoder
from tests.methods.finite import Matrix, same_slopes

OWNER, IDS, NEGATIVE, SCALE = [0, 0, 1, 2, 2, 2, 3, 4], [7, 8, 9, 7, 11], 4, 3.0  # of the sample batch
GROUPED = [0, 1, 0, 0, 1]  # images


def _specialising() -> Any:
    objective: Any = CLIPMoE(2, memory=4, groups=2).parts[1]
    made = [Clusters(2, 2, 4).double() for _ in range(2)]
    for clusters, at in zip(made, (0, 1), strict=True):
        clusters.seen.fill_(4)
        clusters.centres.copy_(torch.tensor([[9.0, 0.0], [9.0, 0.0]]).double())
        clusters.centres[1, at] = -9.0
    objective.clusters = torch.nn.ModuleList(made)
    return objective.eval()


def _score(a: list[float], b: list[float]) -> float:
    return SCALE * sum(p * q for p, q in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def _defined(x: Matrix, y: Matrix) -> float:
    """Negatives are those of other things in the same group; hard negative captions ask nothing."""
    thing = [-1 if j == NEGATIVE else IDS[i] for j, i in enumerate(OWNER)]
    there, back = [], []
    for i, row in enumerate(x):
        scores = [_score(row, col) for col in y]
        against = sum(
            math.exp(s) for j, s in enumerate(scores) if thing[j] != IDS[i] and GROUPED[OWNER[j]] == GROUPED[i]
        )
        own = [s for j, s in enumerate(scores) if thing[j] == IDS[i]]
        there.append(sum(math.log1p(against / math.exp(s)) for s in own) / len(own))
    for j, col in enumerate(y):
        if j == NEGATIVE:
            continue
        scores = [_score(row, col) for row in x]
        against = sum(
            math.exp(s) for i, s in enumerate(scores) if IDS[i] != thing[j] and GROUPED[i] == GROUPED[OWNER[j]]
        )
        own = [s for i, s in enumerate(scores) if IDS[i] == thing[j]]
        back.append(sum(math.log1p(against / math.exp(s)) for s in own) / len(own))
    return (sum(there) / len(there) + sum(back) / len(back)) / 2


def test_negatives_are_those_of_the_group() -> None:
    """Images 1 and 4 lie elsewhere by their image vectors; the captions' vectors are all in one place."""
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (5, 8))
    places = torch.tensor([[1.0, 0.0] if g == 0 else [-1.0, 0.0] for g in GROUPED]).double()
    texts = torch.tensor([[1.0, 0.1]]).double().expand(8, -1)
    pairs = Encoded(Features(x), Features(y), torch.tensor(SCALE).double(), None)
    objective = _specialising()
    found = objective.terms(_Placed(pairs, ((places, texts),)), batch(objective))["contrastive"]
    xs, ys = x.tolist(), y.tolist()
    assert found.item() == pytest.approx(_defined(xs, ys), abs=1e-10)
    gradients = torch.autograd.grad(found, [x, y])
    same_slopes(lambda: _defined(xs, ys), list(zip((xs, ys), gradients, strict=True)))


def test_the_balance_is_the_switch_transformers() -> None:
    """Of logits of tokens, with two of three experts for each."""
    objective: Any = CLIPMoE(3, 2).parts[-1]
    logits = [torch.randn(6, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    counted = objective._counted(logits, torch.zeros(4, 1, dtype=torch.float64))
    pairs = Encoded(Features(torch.randn(5, 3).double()), Features(torch.randn(8, 3).double()), torch.tensor(3.0), None)
    data = batch(objective)
    found = objective.terms(_Routed(pairs, counted, counted * 0), data)["balance"]
    probability, sent, rows = [0.0] * 3, [0] * 3, [row for part in logits for row in part.tolist()]
    for row in rows:
        whole = sum(math.exp(v) for v in row)
        for e, v in enumerate(row):
            probability[e] += math.exp(v) / whole / len(rows)
        for e in sorted(range(3), key=lambda e: -row[e])[:2]:
            sent[e] += 1
    wanted = 0.01 * 3 * sum(p * s / len(rows) for p, s in zip(probability, sent, strict=True))
    assert found.item() == pytest.approx(wanted, abs=1e-12)
    assert torch.autograd.grad(found, logits)[0].abs().sum() > 0


def _weights(model: Any) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


def test_perceptrons_alone_change_and_become_the_experts() -> None:
    stages = CLIPMoE(3, 2, memory=6).stages
    model: Any = dual_encoder()
    before, kept, start = _weights(model), [], blocks_of(model)[0].up.weight.clone()
    for number, stage in enumerate(stages[:-1], 1):
        objective: Any = stage.objective
        objective.begin(model, ())
        learns = {n for n, p in model.named_parameters() if p.requires_grad}
        assert learns and all(".up." in n or ".down." in n for n in learns)
        assert len(objective.earlier) == number, "the first model, and those of earlier stages"
        with torch.no_grad():
            for block in blocks_of(model):
                block.up.weight += number
        kept.append(blocks_of(model)[0].up.weight.clone())
        objective.end(model)
        assert all(v.equal(before[k]) for k, v in _weights(model).items())
    last: Any = stages[-1].objective
    last.begin(model, ())
    first = mixtures_of(model)[0]
    held = [expert[0].weight for expert in first.experts]
    assert held[1].equal(kept[0]) and held[2].equal(kept[1]) and held[0].equal(start)
    assert all(n.endswith("router.weight") for n, p in model.named_parameters() if p.requires_grad)
    data = batch(last)
    sum(last.terms(last.encode(model, data), data).values()).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_groups_are_found_in_training_alone() -> None:
    objective: Any = CLIPMoE(2, memory=5).parts[1]
    model, data = begun(objective), batch(objective)
    objective.eval().terms(objective.encode(model, data), data)
    assert all(int(c.seen) == 0 for c in objective.clusters)
    objective.train().terms(objective.encode(model, data), data)
    assert all(int(c.seen) == 5 for c in objective.clusters)


def test_by_name_and_stopped_it_is_the_run_that_was_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its last stage, whose experts the checkpoint holds with all that earlier stages learnt."""
    data, stopped = runs.photos(tmp_path, "train", 16), tmp_path / "stopped"
    options = ["--objective", "clip_moe(experts=3, memory=12, dense=0.25)", "--size", "tiny", "--batch", "8"]
    options += ["--image", runs.TOWER, "--steps", "12", "--settings.precision", "fp32", "--settings.log_every", "1"]
    options += ["--settings.save_seconds", "0.0", "--workers", "0", "--data", str(data), "--out"]
    main(["train", *options, str(tmp_path / "whole")])
    config = json.loads((tmp_path / "whole" / "config.json").read_text())
    assert (config["image"]["method"], config["text"]["method"]) == ("clip_moe_image", "clip_moe_text")
    model = dovetail.load(tmp_path / "whole")
    assert len(mixtures_of(model)) == 3 and model.encode_text("red 3 green 2 blue 1").shape == (1, 256)
    with monkeypatch.context() as patch:
        patch.setattr(_Routing, "terms", _stop_at_its_second)
        with pytest.raises(SystemExit, match="130"):
            main(["train", *options, str(stopped)])
    main(["train", *options, str(stopped), "--resume"])
    assert runs.losses(stopped) == runs.losses(tmp_path / "whole")
    ours, theirs = (load_tensors(run / "model.safetensors") for run in (stopped, tmp_path / "whole"))
    assert all((ours[k] == v).all() for k, v in theirs.items())


def _stop_at_its_second(self: Any, outputs: Any, batch: Any, real: Any = _Routing.terms, calls: list[int] = []) -> Any:  # noqa: B006
    calls.append(1)
    if len(calls) > 1:
        raise KeyboardInterrupt
    return real(self, outputs, batch)


def test_a_tower_without_blocks_of_ours_stays_as_it_is() -> None:
    schedule, made, data = CLIPMoE(2, memory=6), dual_encoder(towers=("modified_resnet", "clip_text")), batch()
    before = {k: v.clone() for k, v in made.image.state_dict().items()}
    for stage in schedule.stages:
        objective: Any = stage.objective
        objective.begin(made, [])
        terms = objective.terms(objective.encode(made.eval(), data), data)
        sum(terms.values()).backward()
        learnt = [n for n, p in made.named_parameters() if p.grad is not None]
        assert learnt and all(n.startswith("text.") for n in learnt)
        made.zero_grad()
        if hasattr(objective, "end"):
            objective.end(made)
    assert torch.isfinite(terms["balance"]) and len(mixtures_of(made)) == len(mixtures_of(made.text)) == 2
    assert all(torch.equal(v, before[k]) for k, v in made.image.state_dict().items())


def test_towers_without_plain_perceptrons_are_refused() -> None:
    first: Any = CLIPMoE(2).parts[1]
    adapted = dual_encoder()
    add_lora(adapted, rank=2)
    for made in (adapted, dual_encoder(towers=("modified_resnet", "hf_text"))):
        with pytest.raises(DataError, match="clip_moe: no tower has blocks of ours"):
            first.begin(made, [])


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="experts of 2 or more"):
        CLIPMoE(experts=1)


# From scratch, so that half of the steps train the dense model that both sides begin with; the other half trains it on.
CLAIM = Claim(
    says="A model whose second half of training makes experts of it retrieves better than one that is trained on.",
    method=replace(RECIPE, objective="clip_moe(dense=0.5, memory=2000)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
