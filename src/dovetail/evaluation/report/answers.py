"""What a report shows of the model's answers, taken from the evidence of a retrieval benchmark."""

import numpy as np
import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor

from dovetail.contracts import Features
from dovetail.data.images import decode
from dovetail.evaluation.benchmarks import Evidence
from dovetail.evaluation.geometry import alignment, modality_gap, uniformity
from dovetail.evaluation.matching import Matching
from dovetail.evaluation.report.content import (
    Examples,
    Fact,
    ImageHit,
    ImageQuery,
    Mistakes,
    Similarities,
    TextHit,
    TextQuery,
    WrongCaption,
    WrongImage,
)
from dovetail.evaluation.retrieval import RetrievalResult
from dovetail.ops.features import take
from dovetail.ops.similarity import compare

TOP = 5
MATRIX = 40
PAIRS = 2_000  # scores of either kind in the histogram
SPHERE = 2_000  # embeddings from which the geometry is computed


def examples(evidence: Evidence, count: int = 8, seed: int = 0) -> Examples:
    """Answers to `count` captions and half as many images, drawn at random."""
    full = _retrieval(evidence)
    texts, images = full.text_to_image, full.image_to_text
    drawn = _drawn(len(texts.queries), count, seed)
    nearest, scores = texts.matching.nearest(drawn, TOP)
    ranks = texts.ranks.above + 1
    text_queries = []
    for row, found, scored in zip(drawn.tolist(), nearest.tolist(), scores.tolist(), strict=True):
        own = int(texts.matching.query_ids[row])
        hits = tuple(
            _hit(evidence, i, s, int(texts.matching.gallery_ids[i]) == own) for i, s in zip(found, scored, strict=True)
        )
        text_queries.append(TextQuery(evidence.texts[row], hits, int(ranks[row])))
    drawn = _drawn(len(images.queries), count // 2, seed + 1)
    nearest, scores = images.matching.nearest(drawn, TOP)
    ranks = images.ranks.above + 1
    image_queries = []
    for row, found, scored in zip(drawn.tolist(), nearest.tolist(), scores.tolist(), strict=True):
        own, record = int(images.matching.query_ids[row]), int(images.queries[row])
        answers = tuple(
            TextHit(evidence.texts[i], s, int(images.matching.gallery_ids[i]) == own)
            for i, s in zip(found, scored, strict=True)
        )
        image_queries.append(
            ImageQuery(_picture(evidence, record), answers, int(ranks[row]), evidence.records[record].name)
        )
    return Examples(tuple(text_queries), tuple(image_queries), "Drawn at random from the evaluation data.")


def mistakes(evidence: Evidence, count: int = 6) -> Mistakes:
    """The `count` captions, and half as many images, whose right answer was scored farthest below a wrong one."""
    full = _retrieval(evidence)
    texts, images = full.text_to_image, full.image_to_text
    found = [
        WrongImage(
            evidence.texts[m.query],
            _hit(evidence, m.wrong, _score(texts.matching, m.query, m.wrong), False),
            _hit(evidence, m.right, _score(texts.matching, m.query, m.right), True),
            int(texts.ranks.above[m.query]) + 1,
        )
        for m in texts.matching.mistakes(count)
    ]
    captions = []
    for m in images.matching.mistakes(count // 2):
        record = int(images.queries[m.query])
        captions.append(
            WrongCaption(
                _picture(evidence, record),
                TextHit(evidence.texts[m.wrong], _score(images.matching, m.query, m.wrong), False),
                TextHit(evidence.texts[m.right], _score(images.matching, m.query, m.right), True),
                int(images.ranks.above[m.query]) + 1,
                evidence.records[record].name,
            )
        )
    return Mistakes(tuple(found), tuple(captions))


@torch.no_grad()
def similarities(evidence: Evidence, seed: int = 0) -> Similarities:
    """The scores of a sample, and how the embeddings lie on the sphere."""
    assert evidence.captions is not None and evidence.owner is not None
    similarity = _retrieval(evidence).text_to_image.matching.similarity
    captions, images, owner = evidence.captions, evidence.images, evidence.owner
    one = _drawn(len(owner), min(PAIRS, len(owner)), seed)
    # One caption of each image, so that row i and column i of the matrix belong together.
    asked = owner.unique()
    first = torch.tensor([int((owner == i).nonzero()[0]) for i in asked[_drawn(len(asked), MATRIX, seed)]])
    matrix = compare(similarity, take(images, owner[first]), take(captions, first))
    some = one[: min(500, len(one))]
    scores = compare(similarity, take(images, owner[some]), take(captions, some))
    ids = torch.tensor([evidence.records[int(i)].id for i in owner[some]])
    others = scores[(ids[:, None] != ids[None, :]).to(scores.device)]
    return Similarities(
        np.asarray(matrix.float().cpu()),
        np.asarray(scores.diagonal().float().cpu()),
        np.asarray(others[_drawn(len(others), 20_000, seed)].float().cpu()),
        _geometry(images, captions, owner, one),
    )


def _geometry(
    images: Features, captions: Features, owner: Int[Tensor, " t"], some: Int[Tensor, " s"]
) -> tuple[Fact, ...]:
    pictures, texts = images.pooled[owner[some]][:SPHERE].float().cpu(), captions.pooled[some][:SPHERE].float().cpu()
    return (
        Fact(
            "Modality gap", f"{modality_gap(pictures, texts):.2f}", "distance of the two means; 0: images and texts mix"
        ),
        Fact("Alignment", f"{alignment(pictures, texts):.2f}", "mean squared distance of a pair; 0: they coincide"),
        Fact("Uniformity of images", f"{uniformity(images.pooled[:SPHERE].float().cpu()):.2f}", "lower is more even"),
        Fact("Uniformity of texts", f"{uniformity(texts):.2f}", "lower is more even"),
    )


def _retrieval(evidence: Evidence) -> RetrievalResult:
    assert isinstance(evidence.full, RetrievalResult)
    return evidence.full


def _drawn(of: int, count: int, seed: int) -> Int[Tensor, " n"]:
    """Some of `of` numbers, in order."""
    return torch.randperm(of, generator=torch.Generator().manual_seed(seed))[:count].sort().values


def _hit(evidence: Evidence, record: int, score: float, right: bool) -> ImageHit:
    return ImageHit(_picture(evidence, record), score, right, evidence.records[record].name)


def _picture(evidence: Evidence, record: int) -> Image.Image:
    return decode(evidence.records[record].image)


@torch.no_grad()
def _score(matching: Matching, query: int, item: int) -> float:
    left = take(matching.queries, torch.tensor([query]))
    return float(compare(matching.similarity, left, take(matching.gallery, torch.tensor([item]))))
