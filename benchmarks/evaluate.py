"""Time and memory of evaluating given embeddings, zero-shot and retrieval, by Dovetail and in CLIP_benchmark's way.

    python benchmarks/evaluate.py --rounds 3 --out results/evaluate_cpu.json

Both get the same records, unit vectors in float32 and a model that only hands them out, and must find the same figures.
Every measurement is made in a process of its own. Time: the median over rounds, in each of which all have their turn,
of the whole evaluation, which in Dovetail includes 95 % intervals, median ranks and confusions. Memory: the most bytes
held beyond those held before, in a run of which nothing else is measured.

CLIP_benchmark's way is written here in our own words, because its package sets an upper bound on the version of
scikit-learn. Its sources: clip_benchmark/metrics/zeroshot_retrieval.py and zeroshot_classification.py of
LAION-AI/CLIP_benchmark. Batches of 64 and recall at 5 are its defaults.
"""

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measuring import alone, cost, save, unfragmented
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Features, Similarity
from dovetail.data.records import Caption, ImageLike, Record
from dovetail.data.sources.table import RecordTable
from dovetail.evaluation.benchmarks import RetrievalBenchmark, ZeroShotBenchmark
from dovetail.evaluation.matching import COSINE, Matching
from dovetail.evaluation.metrics import recall
from dovetail.evaluation.zeroshot import SEVEN

BATCH = 64
NOISE = 6.0  # how far a pair is apart, so that about half of the queries find what they ask for
ALLOWED = 2e-4  # difference of two figures: scores that differ by float32's rounding count as ties in one way only
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Figures = Mapping[str, float]


@dataclass(eq=False)
class Given:
    """Pictures and texts as numbers and sentences, and a model that looks their embeddings up."""

    images: Tensor  # n d
    texts: Tensor  # t d
    rows: Mapping[str, int]  # of `texts`, by sentence
    table: RecordTable
    classes: tuple[str, ...]
    ks: tuple[int, ...]
    similarity: Similarity = COSINE

    def encode_image(self, images: Sequence[ImageLike]) -> Tensor:
        """The embeddings of pictures, which are called by their number."""
        return self.images[[int(str(image)) for image in images]]

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """The embeddings of sentences."""
        return self.texts[[self.rows[text] for text in texts]]

    def batches(self) -> list[list[Record]]:
        """The records as a loader hands them out."""
        return [
            [self.table[j] for j in range(i, min(i + BATCH, len(self.table)))] for i in range(0, len(self.table), BATCH)
        ]


def captioned(images: int, captions: int, width: int, ks: tuple[int, ...]) -> Given:
    """Images with so many captions each."""
    torch.manual_seed(0)
    pictures = _unit(torch.randn(images, width))
    said = [tuple(f"caption {j} of image {i}" for j in range(captions)) for i in range(images)]
    records = [Record(Path(str(i)), tuple(map(Caption, texts)), f"image {i}", i) for i, texts in enumerate(said)]
    rows = {text: row for row, text in enumerate(text for texts in said for text in texts)}
    return Given(pictures, _near(pictures.repeat_interleave(captions, 0)), rows, RecordTable(records), (), ks)


def labelled(images: int, classes: int, width: int) -> Given:
    """Images of so many classes, and the names of the classes in seven templates."""
    torch.manual_seed(0)
    names = tuple(f"thing {c}" for c in range(classes))
    centres = _unit(torch.randn(classes, width))
    labels = torch.arange(images) % classes
    records = [Record(Path(str(i)), (), f"image {i}", i, label=names[c]) for i, c in enumerate(labels.tolist())]
    sentences = [template.replace("{}", name) for name in names for template in SEVEN]
    rows = {text: row for row, text in enumerate(sentences)}
    texts = _near(centres.repeat_interleave(len(SEVEN), 0))
    return Given(_near(centres[labels]), texts, rows, RecordTable(records), names, ())


def _near(x: Tensor) -> Tensor:
    return _unit(x + NOISE * _unit(torch.randn_like(x)))


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=1).to(DEVICE)


def our_retrieval(given: Given) -> Figures:
    """Dovetail's benchmark."""
    found = RetrievalBenchmark(given.table, ks=given.ks)(given).figures
    return {name: estimate.value for name, estimate in found.items()}


def our_ranks(given: Given) -> Figures:
    """The part of it that meets all scores: the ranks of both directions."""
    images, texts = (Features(x) for x in (given.images, given.texts))
    ids = torch.arange(len(given.images))
    owner = ids.repeat_interleave(len(given.texts) // len(given.images))
    there = Matching(images, texts, ids, owner).ranks()
    back = Matching(texts, images, owner, ids).ranks()
    ways = {"image_to_text": there, "text_to_image": back}
    return {f"{way}/R@{k}": float(recall(ranks, k).mean()) for way, ranks in ways.items() for k in given.ks}


def peer_retrieval(given: Given) -> Figures:
    """All scores and all positives as whole matrices, read again for each k."""
    images, texts, owner = [], [], []
    for batch in given.batches():
        images.append(F.normalize(given.encode_image([r.image for r in batch]), dim=-1).cpu())
        texts.append(F.normalize(given.encode_text([c.text for r in batch for c in r.captions]), dim=-1).cpu())
        owner += [r.id for r in batch for _ in r.captions]
    scores = torch.cat(texts) @ torch.cat(images).T
    positive = torch.zeros_like(scores, dtype=torch.bool)
    positive[torch.arange(len(scores)), owner] = True
    figures = {}
    for k in given.ks:
        figures[f"text_to_image/R@{k}"] = _one_hot_recall(scores, positive, k)
        figures[f"image_to_text/R@{k}"] = _one_hot_recall(scores.T, positive.T, k)
    return figures


def _one_hot_recall(scores: Tensor, positive: Tensor, k: int) -> float:
    """The share of rows with a positive among the k best, each of which is a one-hot vector over the gallery."""
    blocks = zip(scores.split(BATCH), positive.split(BATCH), strict=True)
    shares = torch.cat([_found(some.to(DEVICE), right.to(DEVICE), k).cpu() for some, right in blocks])
    return float((shares > 0).float().mean())


def _found(scores: Tensor, positive: Tensor, k: int) -> Tensor:
    """Of each row's positives, the share among its k best, with CLIP_benchmark's tensors in its order: memory that is
    left in pieces depends on that."""
    best = scores.topk(k, dim=1).indices
    count = positive.sum(1)
    one_hot = F.one_hot(best, scores.shape[1])
    found = (one_hot * positive[:, None]).sum((1, 2))
    return found / count


def our_zero_shot(given: Given) -> Figures:
    """Dovetail's benchmark."""
    found = ZeroShotBenchmark(given.table, given.classes, SEVEN)(given).figures
    return {name: estimate.value for name, estimate in found.items()}


def peer_zero_shot(given: Given) -> Figures:
    """A classifier made class by class, then all logits as a matrix."""
    from sklearn.metrics import balanced_accuracy_score

    vectors = []
    for name in given.classes:
        mean = F.normalize(given.encode_text([t.replace("{}", name) for t in SEVEN]), dim=-1).mean(0)
        vectors.append(mean / mean.norm())
    classifier = torch.stack(vectors, 1)
    number = {name: c for c, name in enumerate(given.classes)}
    logits, truth = [], []
    for batch in given.batches():
        truth.append(torch.tensor([number[str(r.label)] for r in batch]))
        logits.append((100 * F.normalize(given.encode_image([r.image for r in batch]), dim=-1) @ classifier).cpu())
    scores, labels = torch.cat(logits), torch.cat(truth)
    right = scores.topk(min(5, scores.shape[1]), 1).indices == labels[:, None]
    mean_recall = balanced_accuracy_score(labels.numpy(), scores.argmax(1).numpy())
    return {
        "top1": float(right[:, 0].float().mean()),
        "top5": float(right.any(1).float().mean()),
        "mean_per_class": float(mean_recall),
    }


CONTENDERS: dict[str, Callable[[Given], Figures]] = {
    "retrieval, dovetail": our_retrieval,
    "retrieval, ranks alone": our_ranks,
    "retrieval, CLIP_benchmark": peer_retrieval,
    "zero-shot, dovetail": our_zero_shot,
    "zero-shot, CLIP_benchmark": peer_zero_shot,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--captions", type=int, default=5, help="of an image")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--ks", type=int, nargs="+", default=[5], help="recall at these")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = measure(options)
    check(rows)
    print(table(rows))
    sizes = {name: getattr(options, name) for name in ("images", "captions", "classes", "width", "ks", "rounds")}
    save(options.out, {**sizes, "rows": rows})


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The memory of every contender, and the median of its seconds over rounds in which each has its turn."""
    needs = {name: alone(memory, name, options) for name in CONTENDERS}
    alive = [name for name, need in needs.items() if need is not None]
    rounds = [{name: alone(timed, name, options) for name in alive} for _ in range(options.rounds)]
    return [{"contender": name, "bytes": needs[name], **_median([r.get(name) for r in rounds])} for name in CONTENDERS]


def memory(name: str, options: argparse.Namespace) -> int:
    """The most bytes that a contender holds beyond what it is given."""
    unfragmented()
    return _run(name, options)[2]


def timed(name: str, options: argparse.Namespace) -> tuple[Figures, float]:
    """What a contender finds, and its seconds."""
    return _run(name, options)[:2]


@torch.no_grad()
def _run(name: str, options: argparse.Namespace) -> tuple[Figures, float, int]:
    """The costs of a contender, after a small run that makes what is made once."""

    def given(images: int) -> Given:
        if name.startswith("retrieval"):
            return captioned(images, options.captions, options.width, tuple(options.ks))
        return labelled(images, min(images, options.classes), options.width)

    CONTENDERS[name](given(2 * max(options.ks)))
    held = given(options.images)
    return cost(lambda: CONTENDERS[name](held))


def _median(runs: list[tuple[Figures, float] | None]) -> dict[str, Any]:
    done = [run for run in runs if run is not None]
    if len(done) < len(runs):
        return {"figures": None, "seconds": None}
    return {"figures": dict(done[0][0]), "seconds": statistics.median(seconds for _, seconds in done)}


def check(rows: list[dict[str, Any]]) -> None:
    """Ends the program when two contenders in the same task find different figures."""
    for row in rows:
        first = next(r for r in rows if r["contender"].split(",")[0] == row["contender"].split(",")[0])
        for name in (first["figures"] or {}).keys() & (row["figures"] or {}).keys():
            a, b = first["figures"][name], row["figures"][name]
            if abs(a - b) > ALLOWED:
                raise SystemExit(f"{name} is {a} by {first['contender']} and {b} by {row['contender']}")


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: time, the same over that of Dovetail's whole evaluation, and memory."""
    lines = ["| evaluation | s | ratio | MiB |", "|---|---|---|---|"]
    ours = {r["contender"].split(",")[0]: r["seconds"] for r in rows if r["contender"].endswith("dovetail")}
    for row in rows:
        own = ours[row["contender"].split(",")[0]]
        if row["seconds"] is None or own is None:
            lines.append(f"| {row['contender']} | out of memory | | |")
            continue
        ratio = row["seconds"] / own
        lines.append(f"| {row['contender']} | {row['seconds']:.2f} | {ratio:.2f} | {row['bytes'] / 2**20:,.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
