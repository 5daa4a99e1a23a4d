"""A report of made-up content, with the texts that people do write."""

from collections import Counter

import numpy as np
from PIL import Image

from dovetail.data.records import Problems
from dovetail.evaluation import report as r
from dovetail.evaluation.intervals import Estimate

AWKWARD = (
    "<script>alert('caption')</script>",
    '"quoted" & <b>bold</b> $x_1$ \\alpha {{ 7 * 7 }}',
    "كلب يركض على الشاطئ",
    "两只狗在雪地里玩耍。",
    "a family 👨‍👩‍👧‍👦 and a flag 🏴󠁧󠁢󠁷󠁬󠁳󠁿",
    "a lone surrogate \ud83d, a bell \x07 and a zero \x00",
    "right to left \u202e and never back",
    "W" * 10_000,
    "a long story " * 800,
    "",
)


def photo(seed: int, size: tuple[int, int] = (160, 120), mode: str = "RGB") -> Image.Image:
    """Noise, which no JPEG makes small."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def share(value: float) -> Estimate:
    return Estimate(value, max(0.0, value - 0.02), min(1.0, value + 0.02), share=True)


def group(title: str, recalls: tuple[float, float, float], median: float) -> r.FigureGroup:
    named = zip(("R@1", "R@5", "R@10"), recalls, (0.001, 0.005, 0.01), strict=True)
    figures = tuple(r.Figure(name, share(value), chance) for name, value, chance in named)
    return r.FigureGroup(title, (*figures, r.Figure("Median rank", Estimate(median, median - 5, median + 6), 500.0, 0)))


def examples() -> r.Examples:
    hits = [
        tuple(r.ImageHit(photo(5 * i + k), 0.5 - 0.1 * k, k == i % 7, f"{i}.jpg") for k in range(5)) for i in range(10)
    ]
    texts = tuple(r.TextQuery(text, hits[i], 1 + i % 7) for i, text in enumerate(AWKWARD))
    answers = tuple(r.TextHit(text, 0.4 - 0.15 * i, i == 2) for i, text in enumerate(AWKWARD[:5]))
    odd = photo(90, (3000, 2)), photo(91, (1, 1)), photo(92, mode="L"), photo(93, mode="RGBA"), photo(94, mode="P")
    images = tuple(r.ImageQuery(image, answers, 3, AWKWARD[0]) for image in odd)
    return r.Examples(texts, images, "A random sample.")


def mistakes() -> r.Mistakes:
    wrong, right = r.ImageHit(photo(1), 0.61, False), r.ImageHit(photo(2, (40, 400)), -0.07, True)
    captions = r.TextHit(AWKWARD[1], 0.62, False), r.TextHit(AWKWARD[0], 0.08, True)
    images = tuple(r.WrongImage(text, wrong, right, 1711) for text in AWKWARD)
    return r.Mistakes(images, (r.WrongCaption(photo(3), *captions, rank=987),))


def training() -> r.Training:
    rows = [
        {"step": s, "loss": 5 / s, "learning_rate": 1e-3 / s, "scale": 14.0 + s, "images": 64 * s}
        for s in range(1, 400)
    ]
    rows += [{"step": s, "text_to_image/R@10": s / 10, "image_to_text/R@10": s / 9} for s in (100, 200, 300)]
    held = r.Curve(
        "Something <i>else</i>", (r.Series("<b>a</b>", (1.0, 2.0), (1.0, float("nan"))),), "", ("<u>chance", 0.5)
    )
    return r.Training(
        (*r.curves(rows), held), (r.Fact("Images seen", "25,536", "4.2 passes"),), r.images_per_step(rows)
    )


def data() -> r.DataSection:
    skipped = Problems()
    for i in range(12):
        skipped.add("truncated image", f"train <1>.jsonl line {i}")
    lengths = Counter({5: 300, 9: 500, 30: 20, 10_000: 1})
    train = r.DataPart(
        "train <1>.jsonl", 6000, 30_017, {5: 5990, 6: 10}, lengths, {"en": 20_000, "ar": 10_017}, skipped
    )
    return r.DataSection((train, r.DataPart("dev.jsonl", 1000, 5000, {5: 1000}, Counter({8: 20, 9: 4}))))


def similarities() -> r.Similarities:
    random = np.random.default_rng(0)
    matrix = 0.1 * random.normal(size=(40, 40)) + 0.4 * np.eye(40)
    return r.Similarities(matrix, np.diag(matrix), matrix[0], (r.Fact("Modality gap", "0.613", "of means"),))


def headline() -> r.Headline:
    figures = (
        r.Figure("Text to image, R@10", share(0.1729), 0.01),
        r.Figure("Median rank", Estimate(74.0, 66.0, 83.0), 500.0, 0),
    )
    step = r.NextStep("Train longer", "dovetail train --resume --out 'runs/a & b'")
    return r.Headline("runs/a & b <i>", "A small model, trained.", figures, ("Few images: 50.",), (step,), "1 May 2031")


def card() -> r.ModelCard:
    towers = r.FactGroup("Image tower", (r.Fact("Architecture", "ViT <6>"), r.Fact("Parameters", "5,123,456")))
    return r.ModelCard(
        (towers,), ('Zhai et al., "Sigmoid", 2023.',), 'dovetail.load("runs/a")', ("Only English.",), "a: <b>\n  c: 1\n"
    )


def full() -> r.Report:
    retrieval = r.FigureTable("1,000 photos.", (group("Text to image", (0.031, 0.104, 0.1729), 74.0),
                                                group("Image to text", (0.042, 0.118, 0.19), 68.0)))  # fmt: skip
    flowers = r.FigureGroup(
        "Flowers", (r.Figure("Top-1", share(0.4567), 0.2), r.Figure("Mean per class", share(0.4321), 0.2))
    )
    zero_shot = r.FigureTable("300 photos of 5 flowers.", (flowers,))
    return r.Report(
        headline(), training(), retrieval, zero_shot, examples(), mistakes(), similarities(), data(), card()
    )
