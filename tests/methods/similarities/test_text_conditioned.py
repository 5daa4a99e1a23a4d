"""The text-conditioned similarity: in loops, from either side, in a contrast, and with nothing to gather."""

import math

import pytest
import torch

from dovetail.catalogue import build, configuration, rebuild
from dovetail.contracts import Features, PairLoss
from dovetail.evaluation.retrieval import retrieval
from dovetail.methods.similarities.text_conditioned import TextConditioned
from dovetail.ops.contrast import contrast, row_losses
from dovetail.ops.sides import Side
from dovetail.ops.similarity import compare, cosine

WIDTH, HEADS = 4, 2


def _similarity() -> TextConditioned:
    made = TextConditioned(WIDTH, HEADS).double()
    with torch.no_grad():
        for p in made.parameters():
            p.normal_()
    return made


def _things() -> tuple[Features, Features]:
    torch.manual_seed(2)
    x, y = torch.randn(3, 6, WIDTH, dtype=torch.float64), torch.randn(5, WIDTH, dtype=torch.float64)
    return Features(x.mean(1), x, grid=(2, 3)), Features(y, torch.randn(5, 2, WIDTH, dtype=torch.float64))


def _score(text: list[float], patches: list[list[float]], s: TextConditioned) -> float:
    """In loops, with the norms, the maps and their biases as they are."""

    def norm(a: list[float], layer: torch.nn.LayerNorm) -> list[float]:
        mean = sum(a) / WIDTH
        length = math.sqrt(sum((v - mean) ** 2 for v in a) / WIDTH + 1e-5)
        w, b = layer.weight.tolist(), layer.bias.tolist()
        return [(v - mean) / length * w[i] + b[i] for i, v in enumerate(a)]

    def mapped(a: list[float], layer: torch.nn.Linear, start: int) -> list[float]:
        w, b = layer.weight.tolist(), layer.bias.tolist()
        return [sum(p * q for p, q in zip(w[start + i], a, strict=True)) + b[start + i] for i in range(WIDTH)]

    pooling, half = s.pooling, WIDTH // HEADS
    query = mapped(norm(text, pooling.query_norm), pooling.inner, 0)
    keys = [mapped(norm(p, pooling.key_norm), pooling.inner, WIDTH) for p in patches] + [[0.0] * WIDTH]
    values = [mapped(norm(p, pooling.value_norm), pooling.inner, 2 * WIDTH) for p in patches] + [[0.0] * WIDTH]
    seen = []
    for at in range(WIDTH):
        head = range(at // half * half, (at // half + 1) * half)
        shares = [math.exp(sum(query[d] * key[d] for d in head) / math.sqrt(half)) for key in keys]
        seen.append(sum(w * v[at] for w, v in zip(shares, values, strict=True)) / sum(shares))
    view = mapped(seen, pooling.outer, 0)
    return sum(p * q for p, q in zip(view, text, strict=True)) / math.hypot(*view) / math.hypot(*text)


def test_oracle() -> None:
    images, texts = _things()
    similarity = _similarity()
    assert images.tokens is not None
    found = compare(similarity, images, texts)
    for i, patches in enumerate(images.tokens.tolist()):
        for j, text in enumerate(texts.pooled.tolist()):
            assert found[i, j].item() == pytest.approx(_score(text, patches, similarity), abs=1e-10)


def test_the_gradient_is_that_of_the_value_from_either_side() -> None:
    images, texts = _things()
    similarity = _similarity()

    def scores(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pictures, words = Features(x.mean(1), x, grid=(2, 3)), Features(y)
        return compare(similarity, pictures, words), compare(similarity, words, pictures)

    assert images.tokens is not None
    leaves = [images.tokens.requires_grad_(), texts.pooled.requires_grad_()]
    one, other = scores(*leaves)
    torch.testing.assert_close(one, other.T)
    assert torch.autograd.gradcheck(scores, leaves)


def test_images_or_texts_among_themselves_are_pooled_vectors() -> None:
    for things in _things():
        torch.testing.assert_close(compare(_similarity(), things, things), cosine(things.pooled, things.pooled))


def test_contrast_and_retrieval_use_the_whole_matrix() -> None:
    images, texts = _things()
    similarity, loss = _similarity(), build("infonce", PairLoss)
    expected = compare(similarity, images, texts)
    ids, owner = torch.arange(3), torch.tensor([0, 0, 1, 2, 2])
    rows, cols = (Side(f, i, torch.ones(len(i)).double()) for f, i in ((images, ids), (texts, owner)))
    scale = torch.tensor(3.0, dtype=torch.float64)
    own = torch.eye(3, dtype=torch.float64)[:, owner]
    wanted = (row_losses(loss, 3 * expected, own).mean() + row_losses(loss, 3 * expected.T, own.T).mean()) / 2
    torch.testing.assert_close(contrast(rows, cols, similarity, loss, scale, None), wanted)
    ranked = retrieval(images, texts, owner, similarity=similarity.float())
    best = expected.argmax(0) == owner
    assert ranked.figures["text_to_image/R@1"].value == pytest.approx(best.double().mean().item())


def test_other_sizes_are_refused_with_advice() -> None:
    with pytest.raises(ValueError, match="heads=3 does not divide embeddings of 8 numbers"):
        TextConditioned(8, 3)
    with pytest.raises(ValueError, match=r"write text_conditioned\(embed_dim=4\)"):
        TextConditioned(8, 2).prepare(_things()[0])


def test_configuration_makes_it_again() -> None:
    made = rebuild(configuration(TextConditioned(8, 2)))
    assert isinstance(made, TextConditioned) and (made.embed_dim, made.heads) == (8, 2)
