"""VladVA against its definition in loops and transformers' own loss, and what of the model learns."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText

from dovetail.catalogue import build
from dovetail.contracts import Batch, Captions, Encoder, Features, Kind, Tokens
from dovetail.data.preprocessing import HALF, Preprocessing
from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Telling, World
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import LEARNABLE, RECIPE, held_out, scenes
from dovetail.methods.objectives.vladva import Spoken, VladVA
from dovetail.models.contrasting import Encoded
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.lora import has_lora
from tests.models.small import TEXTS, model

EYES: dict[str, Any] = {"model_type": "clip_vision_model", "hidden_size": 64, "intermediate_size": 128}
EYES |= {"num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
WORDS: dict[str, Any] = {"model_type": "qwen2", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128}
WORDS |= {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
LVLM: dict[str, Any] = {"model_type": "llava", "image_token_index": 511, "vision_config": EYES, "text_config": WORDS}
TOWERS = {"image": f"lvlm_image(lvlm={LVLM!r})", "text": f"lvlm_text(lvlm={LVLM!r})"}
KIND = [Kind.RAW, Kind.LONG, Kind.RAW, Kind.NEGATIVE, Kind.LONG, Kind.LONG]
OWNER = [0, 0, 1, 1, 1, 2]  # image 2 has a long caption alone
SCALE = 3.0


def _model() -> DualEncoder:
    plain = model()
    towers = (build(spec, Encoder) for spec in TOWERS.values())
    return DualEncoder(*towers, 16, Preprocessing(32, *HALF), plain.tokenizer, plain.alike).eval()


def _batch(kinds: list[Kind], owner: list[int], tokens: Tokens | None = None) -> Batch:
    t = len(owner)
    tokens = tokens or Tokens(torch.ones(t, 2, dtype=torch.int64), torch.ones(t, 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor(owner), torch.tensor([int(k) for k in kinds]))
    return Batch(torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8), captions, torch.arange(3))


def _cost(scores: list[float], own: list[bool]) -> float:
    against = sum(math.exp(s) for s, mine in zip(scores, own, strict=True) if not mine)
    costs = [math.log(math.exp(s) + against) - s for s, mine in zip(scores, own, strict=True) if mine]
    return sum(costs) / len(costs)


def _defined(x: list[list[float]], y: list[list[float]]) -> float:
    def score(a: list[float], b: list[float]) -> float:
        return SCALE * sum(p * q for p, q in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))

    columns = [j for j, kind in enumerate(KIND) if kind != Kind.LONG]
    there = []
    for i in (0, 1):
        own = [OWNER[j] == i and KIND[j] != Kind.NEGATIVE for j in columns]
        there.append(_cost([score(x[i], y[j]) for j in columns], own))
    back = [_cost([score(image, y[j]) for image in x], [OWNER[j] == i for i in range(3)]) for j in (0, 2)]
    return (sum(there) / 2 + sum(back) / 2) / 2


def test_oracle() -> None:
    x, y = (torch.randn(n, 4, dtype=torch.float64, requires_grad=True) for n in (3, 6))
    surprise = torch.rand(6, dtype=torch.float64, requires_grad=True)
    length = torch.tensor([2.0, 5.0, 3.0, 4.0, 6.0, 1.0], dtype=torch.float64)
    sides = Encoded(Features(x), Features(y), torch.tensor(SCALE, dtype=torch.float64), None)
    found = VladVA(speaking=0.5).terms(Spoken(sides, surprise, length), _batch(KIND, OWNER))
    xs, ys = x.tolist(), y.tolist()
    assert found["contrastive"].item() == pytest.approx(_defined(xs, ys), abs=1e-12)
    long = [1, 4, 5]
    spoken = sum(surprise[j].item() for j in long) / sum(length[j].item() for j in long)
    assert found["next token"].item() == pytest.approx(0.5 * spoken, abs=1e-12)
    (slope,) = torch.autograd.grad(found["next token"], surprise, retain_graph=True)
    share = 0.5 / sum(length[j].item() for j in long)
    torch.testing.assert_close(slope, slope.new_tensor([share if j in long else 0.0 for j in range(6)]))
    gradients = torch.autograd.grad(found["contrastive"], [x, y])
    for rows, gradient in zip((xs, ys), gradients, strict=True):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(4)):
            kept, values = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                values.append(_defined(xs, ys))
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-8)


def test_where_there_is_one_kind_alone_both_losses_have_it() -> None:
    x, y = torch.randn(3, 4), torch.randn(3, 4)
    outputs = Spoken(Encoded(Features(x), Features(y), torch.tensor(SCALE), None), torch.rand(3), torch.ones(3))
    raw, long = (VladVA().terms(outputs, _batch([kind] * 3, [0, 1, 2])) for kind in (Kind.RAW, Kind.LONG))
    assert raw == long and float(raw["next token"]) == pytest.approx(float(outputs.surprise.mean()))


def test_speaks_as_transformers_does() -> None:
    """The loss of the whole model on the same tokens, of which the prompt's and the beginning are not to be said."""
    torch.manual_seed(0)
    made, objective = _model(), VladVA(image_prompt="see {} red")
    theirs = AutoModelForImageTextToText.from_config(AutoConfig.for_model(**LVLM)).eval()
    theirs.model.vision_tower.load_state_dict(made.image.eyes.vision_tower.state_dict())
    theirs.model.multi_modal_projector.load_state_dict(made.image.eyes.multi_modal_projector.state_dict())
    theirs.model.language_model.load_state_dict(made.text.soft.language.state_dict())
    theirs.lm_head.load_state_dict(made.text.out.state_dict())
    objective.begin(made, TEXTS)
    tokens = made.tokenizer(["a red circle", "a dog", "two small blue squares"])
    batch = _batch([Kind.LONG] * 3, [0, 1, 2], tokens)
    images = made.preprocessing.normalise(batch.images).requires_grad_()
    spoken = objective.encode(made, replace(batch, images=images))
    ours = spoken.surprise / spoken.length
    (slopes,) = torch.autograd.grad(ours.sum(), images)
    before, after = ([i for i in made.tokenizer([w]).ids[0].tolist() if i > 2] for w in ("see ", " red"))
    for i in range(3):
        said = tokens.ids[i][tokens.mask[i]].tolist()
        ids = [1, *before, *[511] * 16, *after, *said]
        labels = torch.tensor([[-100] * (len(ids) - len(said) + 1) + said[1:]])
        pixels = images[i : i + 1].detach().requires_grad_()
        loss = theirs(input_ids=torch.tensor([ids]), pixel_values=pixels, labels=labels).loss
        (slope,) = torch.autograd.grad(loss, pixels)
        torch.testing.assert_close(slopes[i], slope[0], rtol=1e-3, atol=1e-3 * float(slope.abs().max()))
        with torch.no_grad():
            states = theirs.model(input_ids=torch.tensor([ids[: -len(said)]]), pixel_values=pixels).last_hidden_state
        assert ours[i].item() == pytest.approx(loss.item(), rel=1e-4)
        torch.testing.assert_close(spoken.sides.images.pooled[i], states[0, -1], rtol=1e-3, atol=1e-4)


def test_prompts_low_rank_maps_and_the_scale_learn_and_end_merged() -> None:
    torch.manual_seed(0)
    made, objective = _model(), VladVA(rank=2)
    objective.begin(made, TEXTS)
    assert made.image.soft.language is made.text.soft.language and made.embed_dim == 64 and not made.projected
    learnt = {n for n, p in made.named_parameters() if p.requires_grad}
    assert {n for n in learnt if ".lora_" not in n} == {
        "image.soft.before", "image.soft.after", "text.soft.after", "log_scale",
    }  # fmt: skip
    batch = _batch(KIND, OWNER, made.tokenizer(TEXTS))
    losses = []
    for _ in range(6):
        loss: Tensor = sum(objective.terms(objective.encode(made, batch), batch).values())
        made.zero_grad()
        loss.backward()
        losses.append(float(loss.detach()))
        with torch.no_grad():
            for p in made.parameters():
                if p.requires_grad and p.grad is not None:
                    p -= 0.05 * p.grad
    assert losses[-1] < losses[0]
    before = made.encode_text(TEXTS)
    objective.end(made)
    assert not has_lora(made)
    torch.testing.assert_close(torch.as_tensor(made.encode_text(TEXTS)), torch.as_tensor(before), rtol=1e-3, atol=1e-4)


def test_other_towers_and_prompts_are_refused() -> None:
    with pytest.raises(DataError, match="give --image lvlm_image"):
        VladVA().begin(model(), TEXTS)
    with pytest.raises(DataError, match=r"has no \{\}"):
        VladVA(text_prompt="in one word").begin(_model(), TEXTS)


# A model from scratch, all of which learns: what is measured is what speaking adds, not how a trained one is adapted.
WORLD = World(Sampler((2, 3), LEARNABLE), telling=Telling(("short", "long")))
# At the usual peak of 2e-3 the language model's states of some seeds all but stand still, with either objective.
GENTLE = replace(RECIPE.settings, learning_rate=5e-4)
SPEAKING = replace(RECIPE, **TOWERS, captions_per_image=2, steps=400, batch=64, settings=GENTLE)
CLAIM = Claim(
    says="Trained to speak of images at length besides, it retrieves better by short captions than with InfoNCE alone.",
    method=replace(SPEAKING, objective="vladva(rank=None, image_prompt='{} is', text_prompt='{} is')"),
    baseline=replace(SPEAKING, objective="vladva(rank=None, speaking=0.0, image_prompt='{} is', text_prompt='{} is')"),
    train=scenes(WORLD),
    benchmark=RetrievalBenchmark(held_out(replace(WORLD, telling=Telling(("short",))))),
    metric="mean_recall",
)
