"""From names to objects."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from dovetail.catalogue import CatalogueError, entry_of
from dovetail.data.images import decode
from dovetail.data.preprocessing import IMAGENET, Preprocessing
from dovetail.data.records import DataError
from dovetail.data.sources import open_source, stream_source
from dovetail.data.survey import Survey, survey
from dovetail.models.sizes import PLANS
from dovetail.training.assemble import (
    all_records,
    check_requirements,
    continued,
    fitted,
    make_model,
    make_objective,
    make_text_tower,
    make_tokenizer,
    usual_objective,
)
from tests import runs
from tests.models.small import model as small

PLAN = replace(PLANS["tiny"], image=runs.TOWER, text={"width": 32, "depth": 1, "heads": 2}, vocabulary=300)
ROWS = [{"image": "a.jpg", "captions": ["one dog", "two dogs"]}, {"image": "b.jpg", "captions": ["a cat"]}]


@pytest.mark.parametrize(
    ("spec", "loss", "similarity"),
    [
        ("infonce", "infonce", "cosine"),
        ("siglip(initial_bias=-5.0)", "siglip", "cosine"),
        ("cosine", "infonce", "cosine"),
        ("contrastive(loss=siglip, similarity=cosine)", "siglip", "cosine"),
    ],
)
def test_a_part_stands_for_the_whole_objective(spec: str, loss: str, similarity: str) -> None:
    made = make_objective(spec)
    assert entry_of(made).key == "contrastive"
    assert (entry_of(made.loss).key, entry_of(made.similarity).key) == (loss, similarity)


@pytest.mark.parametrize("spec", ["sigclip", "vit", "siglip(bias=1)"])
def test_what_is_no_objective_is_refused(spec: str) -> None:
    told = r"did you mean siglip|no Objective or Schedule or PairLoss|takes \(initial_scale"
    with pytest.raises(CatalogueError, match=told):
        make_objective(spec)


def test_records_of_all_sources_in_order(tmp_path: Path) -> None:
    photos = runs.photos(tmp_path, "a", 3)
    names = [record.name for record in all_records([open_source(photos), stream_source(photos)])]
    assert len(names) == 6 and names[:3] == names[3:]


def test_a_vocabulary_is_made_of_the_captions(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(None, [open_source(runs.photos(tmp_path, "a", 20))], PLAN)
    assert 259 < tokenizer.vocab_size <= 300 and tokenizer.context == PLAN.context
    assert tokenizer(["green"]).ids.shape[1] < len("green") + 2  # the word of the captions is one token
    runs.model().tokenizer.save(tmp_path / "saved")
    assert (
        make_tokenizer(str(tmp_path / "saved" / "tokenizer.json"), [], PLAN).vocab_size
        == runs.model().tokenizer.vocab_size
    )


def test_a_tokenizer_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text("{}")
    for name in ("words.json", "missing.json", "missing.txt"):
        with pytest.raises(DataError, match=name):
            make_tokenizer(str(tmp_path / name), [], PLAN)


def test_the_model_follows_the_plan_and_the_loss() -> None:
    tokenizer, augment = runs.model().tokenizer, Preprocessing(size=999, flip=0.0)
    model = make_model(PLAN, None, None, tokenizer, augment, make_objective("siglip"))
    assert model.preprocessing == replace(augment, size=32)  # as the tower says
    assert model.embed_dim == PLAN.embed_dim and model.text.width == 32
    assert model.bias is not None and model.bias.item() == -10 and model.scale.item() == pytest.approx(10.0)
    assert make_model(PLAN, None, None, tokenizer, augment, make_objective("infonce")).bias is None


def test_towers_may_be_named() -> None:
    image = "vit(size=16, patch=8, width=16, depth=1, heads=2)"
    text, vocabulary = make_text_tower(
        "text_transformer(vocabulary=400, context=8, width=16, depth=1, heads=2)", "words.json"
    )
    assert vocabulary == "words.json"
    model = make_model(PLAN, image, text, runs.model().tokenizer, Preprocessing(), make_objective("infonce"))
    assert model.preprocessing.size == 16 and (model.image.width, model.text.width) == (16, 16)


def test_a_text_tower_must_know_every_token() -> None:
    text, vocabulary = make_text_tower("text_transformer(vocabulary=260, context=8, width=16, depth=1, heads=2)", None)
    assert vocabulary is None  # it brings no tokenizer of its own
    with pytest.raises(
        DataError, match=r"the tokenizer has \d+ tokens, the text tower knows 260; give its --tokenizer"
    ):
        make_model(PLAN, None, text, runs.model().tokenizer, Preprocessing(), make_objective("infonce"))


def test_a_trained_model_goes_on_with_the_loss_it_was_made_with() -> None:
    original = runs.model()
    assert usual_objective(original) == "infonce" and usual_objective(small(bias=-3.0)) == "siglip"
    augment = Preprocessing(size=999, crop=(0.8, 1.0), flip=0.0)
    made = continued(original, augment, make_objective("infonce"))
    assert made.image is original.image and made.tokenizer is original.tokenizer
    assert made.preprocessing == replace(original.preprocessing, crop=(0.8, 1.0), flip=0.0)
    for name, tensor in original.state_dict().items():
        assert torch.equal(made.state_dict()[name], tensor), name


def test_a_loss_of_another_kind_starts_with_its_own_scale_and_bias() -> None:
    original = small()
    made = continued(original, Preprocessing(), make_objective("siglip"))
    assert made.bias is not None and made.bias.item() == -10 and made.scale.item() == pytest.approx(10.0)
    assert torch.equal(made.image_projection.weight, original.image_projection.weight)
    back = continued(small(bias=-3.0), Preprocessing(), make_objective("infonce"))
    assert back.bias is None and back.scale.item() == pytest.approx(1 / 0.07)


def test_a_scale_above_the_bound_may_stay_there() -> None:
    original = small(bias=-12.0)
    original.log_scale.data.fill_(math.log(117.0))
    made = continued(original, Preprocessing(), make_objective("siglip"))
    made.clamp_scale()
    assert made.scale.item() == pytest.approx(117.0)


class _Declares:
    """What `fitted` asks of an image tower."""

    def __init__(self, normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None):
        self.size, self.normalisation = 48, normalisation


def test_the_normalisation_is_the_tower_s_unless_one_was_asked_for() -> None:
    usual, asked = Preprocessing(flip=0.0), Preprocessing(mean=(0.1, 0.2, 0.3))
    assert fitted(usual, _Declares(IMAGENET)) == replace(usual, size=48, mean=IMAGENET[0], std=IMAGENET[1])
    assert fitted(usual, _Declares(None)) == replace(usual, size=48)
    assert fitted(asked, _Declares(IMAGENET)) == replace(asked, size=48)


def surveyed(path: Path, *captions: dict[str, object]) -> Survey:
    """A survey of a picture for each of the rows."""
    for i, _ in enumerate(captions):
        Image.new("RGB", (8, 8), (40 * i, 0, 0)).save(path / f"{i}.png")
    rows = [{"image": f"{i}.png", **row} for i, row in enumerate(captions)]
    (path / "photos.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return survey([open_source(path / "photos.jsonl")], decode)


def test_an_objective_says_that_it_needs_several_captions(tmp_path: Path) -> None:
    one = surveyed(tmp_path, {"caption": "a", "negatives": "b"}, {"caption": "c"})
    objective = make_objective("infonce")
    check_requirements(objective, one)
    objective.requires = ("several captions",)
    check_requirements(objective, surveyed(tmp_path, {"caption": ["a", "b"]}, {"caption": "c"}))
    with pytest.raises(
        DataError, match=r"needs several captions; .*photos\.jsonl has none\. Give every image.*contrastive"
    ):
        check_requirements(objective, one)
    with pytest.raises(DataError, match="needs several captions"):
        check_requirements(objective, one, sub_captions=3)
    long = surveyed(tmp_path, {"long_caption": "One. Two."})
    check_requirements(objective, long, sub_captions=2)
    for count in (None, 1):
        with pytest.raises(DataError, match="--sub_captions"):
            check_requirements(objective, long, sub_captions=count)


@pytest.mark.parametrize(
    ("need", "row", "advice"),
    [
        ("negative captions", {"negatives": "b"}, "--columns.negatives, or .* dovetail curate tsvlc"),
        ("long captions", {"long_caption": "b. c."}, "--columns.long"),
        ("synthetic captions", {"synthetic": "b"}, "--columns.synthetic"),
        ("regions", {"regions": [{"box": [0, 0, 1, 1], "phrase": "b"}]}, "--columns.regions"),
        ("depth", {"depth": "0.png"}, "--columns.depth"),
        ("video", {"frames": ["0.png", "0.png"]}, "--columns.video"),
    ],
)
def test_a_requirement_is_met_or_comes_with_advice(
    tmp_path: Path, need: str, row: dict[str, object], advice: str
) -> None:
    objective = make_objective("infonce")
    objective.requires = (need,)
    check_requirements(objective, surveyed(tmp_path, {"caption": "a", **row}, {"caption": "a"}))
    with pytest.raises(DataError, match=rf"needs {need}; .*photos\.jsonl has none.*{advice}.*contrastive"):
        check_requirements(objective, surveyed(tmp_path, {"caption": ["a", "b"]}))


def test_a_schedule_says_what_it_needs_too(tmp_path: Path) -> None:
    schedule = SimpleNamespace(requires=("depth",), stages=())
    check_requirements(schedule, surveyed(tmp_path, {"caption": "a", "depth": "0.png"}))
    with pytest.raises(DataError, match="needs depth"):
        check_requirements(schedule, surveyed(tmp_path, {"caption": "a"}))
