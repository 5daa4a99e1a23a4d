"""Train, evaluate and report on rendered scenes in a few minutes, without downloading anything."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from dovetail.cli.report import write_run_report
from dovetail.cli.train import plain, tell
from dovetail.contracts import Kind
from dovetail.data.images import decode
from dovetail.data.preprocessing import HALF, Preprocessing
from dovetail.data.records import Record
from dovetail.data.sources import open_source
from dovetail.data.survey import survey
from dovetail.data.worlds import Sampler, Scenes, Vocabulary, World, zero_shot_classes
from dovetail.evaluation.adapter import Embedder
from dovetail.evaluation.benchmarks import RetrievalBenchmark, ZeroShotBenchmark
from dovetail.evaluation.result import Results
from dovetail.evaluation.validation import validation
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.recipe import Recipe
from dovetail.training.run import fit, has_gpu
from dovetail.training.settings import Settings

TRAIN, VALIDATION, SINGLE, SEVERAL = 12_000, 200, 500, 500  # scenes

START = 2 * TRAIN  # index of the first scene that is not trained on
# What a small tower can learn to tell apart in minutes; the worlds know more.
WORDS = Vocabulary(
    shapes=("circle", "square", "triangle", "star", "cross"),
    sizes=("medium", "large"),
    textures=("plain", "striped"),
)

SINGLES, GROUPS = World(Sampler((1, 1), WORDS)), World(Sampler((2, 4), WORDS))


def demo(out: Path = Path("runs/demo"), minutes: float = 4.0, seed: int = 0) -> None:
    """Train, evaluate and report on rendered scenes in a few minutes, without downloading anything.

    A killed demo continues when it is started again; a finished one is shown.

    Args:
        out: the run's folder.
        minutes: minutes to train.
        seed: of the scenes, the weights and the order.
    """
    console = Console(stderr=True)
    if (out / "report.html").exists():
        console.print(f"{out} holds a finished demo; delete it to train again.")
        _end(out, Results.read(out / "metrics.json"))
        return
    console.print("rendering scenes: one to four coloured shapes, described by captions that follow from the facts")
    train = open_source(list(track(scenes(seed), "render", TRAIN, console=console)))  # once, not in every epoch
    held_out = Scenes(VALIDATION, seed, world=GROUPS, first=START)
    # Mirrored or tightly cropped scenes would make `left of` and `large` untrue.
    augment = Preprocessing(64, *HALF, crop=(0.85, 1.0), aspect=(1.0, 1.0), flip=0.0)
    recipe = Recipe(
        size="tiny",
        image="timm(name='resnet10t', size=64)",
        augment=augment,
        minutes=minutes,
        batch=64,
        settings=Settings(learning_rate=2e-3, evaluations=4),
    ).resolved(TRAIN, has_gpu())
    surveyed = survey([train], decode)
    tell(surveyed, console)
    config = {"demo": True, "seed": seed} | plain(asdict(recipe))
    validate = validation([held_out])
    run = fit([train], surveyed, out, recipe, config, seed, validate=validate, resume=out.exists(), console=console)
    results = measure(run.model, seed)
    results.write(out / "metrics.json")  # before the report, by which a finished demo is known
    write_run_report(run, recipe, config, surveyed, results)
    _end(out, results)


def scenes(seed: int) -> Iterator[Record]:
    """The scenes to train on, three in four of a single thing, without their paragraph-long captions."""
    single = Scenes(TRAIN, seed, world=SINGLES)
    several = Scenes(TRAIN, seed, world=GROUPS, first=TRAIN)
    for i in range(TRAIN):
        record = (several if i % 4 == 0 else single)[i]
        yield replace(record, captions=tuple(c for c in record.captions if c.kind != Kind.LONG))


def measure(model: DualEncoder, seed: int) -> Results:
    """Zero-shot colour and shape of single things, and retrieval among scenes of several, on scenes held out."""
    single = Scenes(SINGLE, seed, world=SINGLES, first=START + VALIDATION)
    several = Scenes(SEVERAL, seed, world=GROUPS, first=START + VALIDATION + SINGLE)
    names = tuple(zero_shot_classes(WORDS))
    zero_shot = ZeroShotBenchmark(single, names, ("a {}",), "colour and shape of single objects, zero-shot")
    retrieval = RetrievalBenchmark(several, "retrieval among scenes of several objects")
    embedder = Embedder(model)
    return Results((zero_shot(embedder), retrieval(embedder)), {"model": "demo"})


def _end(out: Path, results: Results) -> None:
    """What was learnt in three lines, where the report lies, and what to try next."""
    zero_shot, retrieval = results.results
    found, guess = retrieval["text_to_image/R@1"], retrieval.chance["text_to_image/R@1"]
    objects, scenes_shown, classes = zero_shot.counts["images"], retrieval.counts["images"], zero_shot.counts["classes"]
    lines = (
        f"\nNames colour and shape of {zero_shot['top1']} % of {objects} held-out objects, out of {classes} kinds.",
        f"Finds the one scene of {scenes_shown} that a caption tells of at once in {found} % of tries,",
        f"{found.value / guess:.0f} x chance, and among its first ten in {retrieval['text_to_image/R@10']} %.",
        f"\nReport: {out / 'report.html'}\n\nNext, with images and captions of your own:",
        "  dovetail train --data YOUR.csv --val YOUR-HELD-OUT.csv --out runs/mine",
        "  dovetail evaluate runs/mine --data ANOTHER.csv",
        "  dovetail methods",
    )
    for line in lines:
        Console().print(line, highlight=False, soft_wrap=True)
