"""From names to objects: sources, tokenizer, towers and objective of a run, each checked against the others."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from torch import nn

from dovetail.catalogue import build, entries, lookup
from dovetail.contracts import Encoder, Objective, PairLoss, Schedule, Similarity
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import DataError, Record
from dovetail.data.sources.kinds import Stream, Table
from dovetail.data.survey import Survey
from dovetail.data.text import Tokenizer, clip_bpe, from_file, train_bpe
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.sizes import Plan

SEVERAL, LONG, SYNTHETIC, NEGATIVES = "several captions", "long captions", "synthetic captions", "negative captions"
ADVICE = {
    SEVERAL: "Give every image more than one caption, in several columns or rows, or long ones with --sub_captions.",
    LONG: "Name the column that holds captions of many sentences with --columns.long.",
    SYNTHETIC: "Name the column that holds captions which a model wrote with --columns.synthetic.",
    NEGATIVES: "Name the column that holds false captions with --columns.negatives, or make them of the true ones: "
    "dovetail curate tsvlc --data ... --out ...",
    "regions": "Name the column that holds boxes with phrases with --columns.regions.",
    "depth": "Name the column that holds pictures of depth with --columns.depth.",
    "video": "Name the column that holds lists of frames, or folders of them, with --columns.video.",
}
CAPTIONS_FOR_BPE = 200_000  # more do not change a vocabulary of some thousand pieces


def make_objective(spec: str) -> Any:
    """The objective, or schedule of objectives, that `spec` names. A pair loss or a similarity stands for the
    contrastive objective with it.

    Raises CatalogueError for an unknown name.
    """
    made = build(spec, Objective, Schedule, PairLoss, Similarity)
    contrastive = lookup("contrastive", Objective).make
    if isinstance(made, PairLoss):
        return contrastive(loss=made)
    if isinstance(made, Similarity):
        return contrastive(similarity=made)
    assert isinstance(made, nn.Module)
    return made


def all_records(sources: Sequence[Table | Stream]) -> Iterable[Record]:
    """Every record of the sources, in order."""
    for source in sources:
        if isinstance(source, Stream):
            for unit in source.units():
                yield from source.read(unit)
        else:
            yield from (source[i] for i in range(len(source)))


def captions_of(sources: Sequence[Table | Stream]) -> Iterator[str]:
    """The text of every caption, in order."""
    return (caption.text for record in all_records(sources) for caption in record.captions)


def make_tokenizer(spec: str | None, sources: Sequence[Table | Stream], plan: Plan) -> Tokenizer:
    """A BPE trained on the captions (spec None), CLIP's BPE from its merges file, or any tokenizer file or folder.

    Raises DataError for a file that is none of these.
    """
    if spec is None:
        return train_bpe(islice(captions_of(sources), CAPTIONS_FOR_BPE), plan.vocabulary, plan.context)
    if spec.endswith((".txt", ".txt.gz")):
        return clip_bpe(spec, plan.context)
    return from_file(spec, plan.context)


def make_text_tower(spec: str, tokenizer: str | None) -> tuple[Any, str | None]:
    """The text tower that `spec` names, and which tokenizer goes with it: the one asked for, or the tower's own."""
    tower = build(spec, Encoder)
    return tower, tokenizer or getattr(tower, "origin", None)


def make_model(
    plan: Plan,
    image: str | None,
    text: nn.Module | None,
    tokenizer: Tokenizer,
    augment: Preprocessing,
    objective: nn.Module,
) -> DualEncoder:
    """A dual encoder: the plan's towers, or the image tower that `image` names and the text tower `text`.

    `augment` gives the preprocessing but the size in pixels, which the image tower says, as it does mean and standard
    deviation where it declares them and `augment` has none of its own. Raises DataError for a tokenizer with more
    tokens than the text tower knows.
    """
    image_tower = build(image or plan.image, Encoder)
    if text is None:
        context = tokenizer.context
        tower: Any = lookup("text_transformer", Encoder).make
        text = tower(vocabulary=tokenizer.vocab_size, context=context, **plan.text)
    known = getattr(text, "vocabulary", tokenizer.vocab_size)
    if tokenizer.vocab_size > known:
        raise DataError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, the text tower knows {known}; give its --tokenizer"
        )
    towers: tuple[Any, Any] = image_tower, text
    loss, similarity = getattr(objective, "loss", None), getattr(objective, "similarity", None)
    return DualEncoder(
        *towers,
        plan.embed_dim,
        fitted(augment, image_tower),
        tokenizer,
        similarity or build("cosine"),
        scale=getattr(loss, "initial_scale", 1 / 0.07),
        bias=getattr(loss, "initial_bias", None),
    )


def usual_objective(model: DualEncoder) -> str:
    """The pair loss that a trained model was made with: a bias is SigLIP's."""
    return "infonce" if model.bias is None else "siglip"


def continued(original: DualEncoder, augment: Preprocessing, objective: nn.Module) -> DualEncoder:
    """A trained model that an objective can go on with: the same towers and maps, the objective's similarity, and of
    `augment` how training views are drawn.

    Scale and bias stay where the loss has what the model was trained with, a bias or none; otherwise both start as the
    loss has it, and so do maps of tokens that the model has not had.
    """
    loss, similarity = getattr(objective, "loss", None), getattr(objective, "similarity", None)
    bias = getattr(loss, "initial_bias", None) if loss is not None else original.bias
    scale = getattr(loss, "initial_scale", 1 / 0.07)
    same = (bias is None) == (original.bias is None)
    how = replace(
        original.preprocessing, crop=augment.crop, aspect=augment.aspect, flip=augment.flip, jitter=augment.jitter
    )
    made = DualEncoder(
        original.image,
        original.text,
        original.embed_dim if original.projected else None,
        how,
        original.tokenizer,
        similarity or original.alike,
        scale=float(original.scale.detach()) if same else scale,
        bias=None if bias is None else float(original.bias.detach()) if original.bias is not None else float(bias),
    )
    known = original.state_dict()
    kept = {k: v for k, v in known.items() if "projection" in k and k in made.state_dict()}
    kept |= {k: known[k] for k in ("log_scale", "bias") if same and k in known}
    made.load_state_dict(kept, strict=False)
    return made


def fitted(augment: Preprocessing, tower: Any) -> Preprocessing:
    """The preprocessing with what the image tower declares: its size, and its normalisation unless one was asked
    for."""
    declared = getattr(tower, "normalisation", None)
    usual = Preprocessing()
    if declared is None or (augment.mean, augment.std) != (usual.mean, usual.std):
        return replace(augment, size=tower.size)
    return replace(augment, size=tower.size, mean=declared[0], std=declared[1])


def check_requirements(objective: Any, survey: Survey, sub_captions: int | None = None) -> None:
    """Raises DataError when an objective, or a schedule, needs what the data does not have.

    sub_captions: sentences that take a long caption's place, as several captions.
    """
    several = survey.captions - survey.negatives > survey.items
    has = {name: number > 0 for name, number in survey.supply.items()}
    has[SEVERAL] = several or (has[LONG] and (sub_captions or 1) > 1)
    for need in objective.requires:
        if not has.get(need, True):
            known = (*entries(Objective), *entries(Schedule))
            usable = [entry.key for entry in known if all(has.get(r, True) for r in entry.requires)]
            raise DataError(
                f"{type(objective).__name__} needs {need}; {', '.join(survey.names)} has none. {ADVICE[need]} "
                f"Objectives for this data: {', '.join(usable)}."
            )
