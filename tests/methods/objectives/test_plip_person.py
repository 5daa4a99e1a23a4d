"""PLIP for persons against its definition in loops."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import DataError
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.methods.objectives.plip_person import LUMA, PLIPPerson, Told, in_grey
from dovetail.models.contrasting import Encoded
from tests.contracts.samples import batch as sample
from tests.contracts.samples import begun

OWNER, IDS, SCALE = [0, 0, 1, 2], [5, 6, 5], 4.0  # the first and the last image are of one person
Matrix = list[list[float]]


def _one_way(x: Matrix, y: Matrix, of_x: list[int], of_y: list[int]) -> float:
    total = 0.0
    for a, i in zip(x, of_x, strict=True):
        scores = [SCALE * sum(p * q for p, q in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b) for b in y]
        near = [s for s, j in zip(scores, of_y, strict=True) if j == i]
        far = sum(math.exp(s) for s, j in zip(scores, of_y, strict=True) if j != i)
        total += sum(math.log(1 + far / math.exp(s)) for s in near) / len(near)
    return total / len(x)


def test_oracle_of_the_terms() -> None:
    torch.manual_seed(0)
    leaves = [torch.randn(*s, dtype=torch.float64, requires_grad=True) for s in ((3, 3), (4, 3), (4,), (4,))]
    tokens = Tokens(torch.ones(4, 2, dtype=torch.int64), torch.ones(4, 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor(OWNER), torch.full((4,), int(Kind.RAW)))
    data = Batch(torch.zeros(3, 3, 4, 4, dtype=torch.uint8), captions, torch.tensor(IDS))
    of_texts = [IDS[i] for i in OWNER]

    def defined(x: Matrix, y: Matrix, painted: list[float], hidden: list[float]) -> list[float]:
        pairs = (_one_way(x, y, IDS, of_texts) + _one_way(y, x, of_texts, IDS)) / 2
        return [pairs, 2 * sum(painted) / 4, 3 * (hidden[0] + hidden[2] + hidden[3]) / 6]

    x, y, painted, hidden = leaves
    pairs = Encoded(Features(x), Features(y), x.new_tensor(SCALE), None)
    told = Told(pairs, painted, (hidden, torch.tensor([2, 0, 3, 1])))
    terms = PLIPPerson(colour=2.0, attribute=3.0).terms(told, data)
    assert list(terms) == ["contrastive", "colour", "attributes"]
    assert [t.item() for t in terms.values()] == pytest.approx(defined(*(v.tolist() for v in leaves)), abs=1e-10)
    gradients = torch.autograd.grad(sum(terms.values(), x.new_zeros(())), leaves)
    for which, gradient in enumerate(gradients):
        for at in range(gradient.numel()):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [leaf.detach().clone() for leaf in leaves]
                moved[which].view(-1)[at] += step
                ends.append(sum(defined(*(v.tolist() for v in moved))))
            assert float(gradient.flatten()[at]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-6)


def test_grey_pictures_are_as_bright_as_coloured_ones() -> None:
    how = Preprocessing(size=4)
    bytes_ = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    found = in_grey(how.normalise(bytes_), how)
    for i, row, col in torch.cartesian_prod(torch.arange(2), torch.arange(4), torch.arange(4)).tolist():
        bright = sum(w * int(v) / 255 for w, v in zip(LUMA, bytes_[i, :, row, col], strict=True))
        wanted = [(bright - m) / s for m, s in zip(how.mean, how.std, strict=True)]
        assert found[i, :, row, col].tolist() == pytest.approx(wanted, abs=1e-5)


def _averaged(picture: Tensor, row: int, col: int, side: int) -> list[float]:
    """The colours of a square of pixels of one patch."""
    part = picture[:, row * side : (row + 1) * side, col * side : (col + 1) * side]
    return [float(channel.mean()) for channel in part]


def test_each_caption_paints_its_image_patch_by_patch() -> None:
    torch.manual_seed(0)
    objective = PLIPPerson(cell=2)
    model = begun(objective).double().eval()
    objective.double()
    data = sample()
    pixels = model.preprocessing.normalise(data.images).double()
    found = objective.encode(model, replace(data, images=pixels))
    grey, said = model.image(in_grey(pixels, model.preprocessing)), model.text_features(data.captions.tokens).pooled
    (rows, cols), side = grey.grid, 32 // (2 * grey.grid[0])
    for t, i in enumerate(data.captions.owner.tolist()):
        x = objective.norm(grey.tokens[i])
        gate = objective.gate(torch.cat([x.mean(0), said[t]]))
        error = 0.0
        for p in range(rows * cols):
            painted = objective.paint(gate * x[p]).view(3, 2, 2).detach()
            for a in range(2):
                for b in range(2):
                    wanted = _averaged(pixels[i], 2 * (p // cols) + a, 2 * (p % cols) + b, side)
                    error += sum((float(painted[c, a, b]) - wanted[c]) ** 2 for c in range(3))
        assert found.painted[t].item() == pytest.approx(error / (rows * cols * 12), abs=1e-9)


def test_attribute_words_are_hidden_and_guessed_from_the_image() -> None:
    torch.manual_seed(0)
    objective = PLIPPerson(rate=1.0)
    model, data = begun(objective), sample()
    texts = ["a red car and two dogs", "a photo of a striped cat", "a house"]
    tokens = model.tokenizer(texts)
    captions = Captions(tokens, torch.tensor([0, 1, 2]), torch.full((3,), int(Kind.RAW)))
    data = replace(data, captions=captions)
    found = objective.encode(model, data)
    pieces = [len(model.tokenizer([word]).ids[0]) - 2 for word in ("red", "striped")]
    assert found.hidden[1].tolist() == [*pieces, len(model.tokenizer([texts[2]]).ids[0]) - 2]
    other = objective.encode(model, replace(data, images=data.images.flip(0)))
    assert (other.hidden[0] != found.hidden[0])[:2].all()
    assert isinstance(objective.head, nn.Module) and not hasattr(PLIPPerson(), "head")


def test_it_needs_patches() -> None:
    objective = PLIPPerson()
    model, data = begun(objective), sample()

    class Blind(nn.Module):
        width = token_width = model.image.token_width

        def forward(self, x: Tensor) -> Features:
            return Features(x.new_zeros(len(x), self.width), x.new_zeros(len(x), 2, self.width))

    model.image = Blind()
    with pytest.raises(DataError, match="has no grid of them"):
        objective.encode(model, data)


CLAIM = Claim(
    says="Where several scenes may be the same thing, it retrieves better than InfoNCE with the same positives.",
    method=replace(RECIPE, objective="plip_person"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
