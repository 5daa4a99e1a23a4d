"""CLoVe: its losses are NegCLIP's, its end is WiSE-FT's, and the claim that it tells word orders apart."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import dovetail
from dovetail.catalogue import CatalogueError, build
from dovetail.cli.main import main
from dovetail.contracts import Batch, Captions, Features, Kind, Schedule, Tokens
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import PAIRS, RECIPE, held_out, larger, scenes
from dovetail.evaluation.worlds.choice import ChoiceBenchmark
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.methods.objectives.negclip import NegCLIP
from dovetail.methods.schedules.clove import CLoVe
from dovetail.models.contrasting import Encoded
from dovetail.models.lora import add_lora, merged
from tests import runs
from tests.models.small import model

KIND = [Kind.RAW, Kind.RAW, Kind.NEGATIVE, Kind.NEGATIVE]


def _batch(kind: list[Kind], owner: list[int]) -> Batch:
    tokens = Tokens(torch.ones(len(kind), 2, dtype=torch.int64), torch.ones(len(kind), 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor(owner), torch.tensor([int(k) for k in kind]))
    return Batch(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), captions, torch.arange(2))


def test_false_captions_come_after_the_pre_training() -> None:
    before, tuned = CLoVe(before=0.25).stages
    assert (before.share, tuned.share) == (0.25, 0.75) and len(CLoVe().stages) == 1
    x, y, scale = torch.randn(2, 5), torch.randn(4, 5), torch.tensor(3.0)
    data, true = _batch(KIND, [0, 1, 0, 1]), _batch(KIND[:2], [0, 1])
    every, some = (Encoded(Features(x), Features(t), scale, None) for t in (y, y[:2]))
    assert tuned.objective.terms(every, data) == NegCLIP().terms(every, data)
    assert before.objective.terms(every, data) == Contrastive().terms(some, true)
    assert tuned.objective.terms(every, data) != before.objective.terms(every, data)


def test_the_end_lies_between() -> None:
    torch.manual_seed(1)
    tuned = model()
    first = {k: v.clone() for k, v in tuned.state_dict().items()}
    objective = CLoVe(alpha=0.25).stages[0].objective
    objective.begin(tuned, ())
    assert not any(p.requires_grad for p in objective.parameters()), "nothing is optimised but the model"
    with torch.no_grad():
        for p in tuned.parameters():
            p.add_(torch.randn_like(p))
    last = {k: v.clone() for k, v in tuned.state_dict().items()}
    again = copy.deepcopy(tuned)
    for one in (tuned, again):  # looked at on the way, then for good
        objective.end(one)
        for name, x in one.state_dict().items():
            wanted = 0.75 * first[name] + 0.25 * last[name] if x.is_floating_point() else last[name]
            torch.testing.assert_close(x, wanted)


def test_low_rank_maps_are_drawn_back_as_their_product() -> None:
    tuned = model()
    original = copy.deepcopy(tuned).state_dict()
    add_lora(tuned)
    objective = CLoVe(alpha=0.25).stages[0].objective
    objective.begin(tuned, ())
    with torch.no_grad():
        for name, p in tuned.named_parameters():
            if ".lora_" in name:
                p.add_(torch.randn_like(p))
    last = merged(tuned).state_dict()
    objective.end(tuned)
    for name, x in merged(tuned).state_dict().items():
        torch.testing.assert_close(x, 0.75 * original[name] + 0.25 * last[name], rtol=1e-4, atol=1e-5)


def test_what_it_keeps_goes_with_the_checkpoints() -> None:
    one, other = (CLoVe().stages[0].objective for _ in range(2))
    one.begin(model(), ())
    other.begin(model(), ())
    other.load_state_dict(one.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_run_keeps_the_patched_model(tmp_path: Path) -> None:
    data = runs.photos(tmp_path, "photos", 16)
    wrong = tmp_path / "wrong.jsonl"
    main(["curate", "clove", "--data", str(data), "--out", str(wrong)])
    options = [*runs.SMALL, "--steps", "4", "--workers", "0", "--settings.precision", "fp32"]
    found = {}
    for name in ("clove(before=0.5, alpha=0)", "clove(before=0.5, alpha=1)", "clove(before=0.5, alpha=0.25)"):
        main(["train", "--data", str(wrong), "--objective", name, "--out", str(tmp_path / name), *options])
        found[name] = dovetail.load(tmp_path / name).state_dict()
    first, last, between = found.values()
    moved = [k for k, v in first.items() if not torch.equal(v, last[k])]
    assert moved
    for name in moved:
        torch.testing.assert_close(between[name], 0.75 * first[name] + 0.25 * last[name])


def test_shares_out_of_range_are_refused() -> None:
    for spec in ("clove(alpha=1.5)", "clove(before=1)", "clove(before=-0.1)"):
        with pytest.raises(CatalogueError, match="must lie in 0..1"):
            build(spec, Schedule)


CLAIM = Claim(
    says="Pre-trained, tuned on swapped captions and patched, it tells exchanged colours better than with InfoNCE.",
    method=replace(RECIPE, objective="clove(before=0.5)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(replace(PAIRS, negatives=("swapped attribute",))),
    benchmark=ChoiceBenchmark(held_out(PAIRS), kinds=("swapped attribute",)),
    metric="choice/swapped attribute",
    seeds=(0, 1, 2, 3, 4),
)
CLAIM_GPU = larger(CLAIM)
