"""Real files of other people, in their own layouts."""

from pathlib import Path

import pytest

from dovetail.data.records import DataError
from dovetail.data.sources import Columns, open_source, stream_source
from tests.data.files import everything, texts


def test_flickr8k(shared_data: Path) -> None:
    source = open_source(shared_data / "flickr8k" / "dev.jsonl")
    table = list(source)
    assert len(table) == 1000 and not source.problems.counts and {len(r.captions) for r in table} == {5}
    assert len({r.id for r in table}) == 1000
    chinese = open_source(shared_data / "flickr8k" / "dev.jsonl", Columns(captions="captions_zh"))
    assert {c.language for r in chinese for c in r.captions} == {"zh"} and texts(chinese[0])[
        0
    ] == "在玩滑板的两个女孩。"
    streamed = everything(stream_source(shared_data / "flickr8k" / "dev.jsonl"))
    assert [(r.id, r.captions) for r in streamed] == [(r.id, r.captions) for r in table]


def test_sentences_about_shared_images_are_joined(shared_data: Path, tmp_path: Path) -> None:
    lines = (shared_data / "flickr8k" / "entailment.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "x.jsonl").write_text("".join(lines[:1500]))
    columns = Columns(captions="hypothesis", folder=shared_data / "flickr8k")
    table = list(open_source(tmp_path / "x.jsonl", columns))
    assert sum(len(r.captions) for r in table) == 1500
    assert {r.label for r in table} == {"entailment", "neutral", "contradiction"}
    assert len({(r.image, r.label) for r in table}) == len(table)  # other labels make other records ...
    assert len({r.id for r in table}) == len({r.image for r in table}) < len(table)  # ... of the same image


def test_coco_photos_and_their_own_annotation_file(shared_data: Path) -> None:
    ours = open_source(shared_data / "coco_cc" / "coco.jsonl")
    folder = shared_data / "coco_cc" / "images"
    theirs = open_source(shared_data / "text" / "coco_captions_val2017.json", Columns(folder=folder))
    assert len(ours) == 51 and len(theirs) == 25 and theirs.problems.counts == {"missing image file": 4975}
    said = {r.image: sorted(texts(r)) for r in ours}
    assert all(said[r.image] == sorted(texts(r)) for r in theirs)  # the other 26 are of the training part
    with pytest.raises(DataError, match=r"5000 x missing image file, .*Relative image paths start at .*text"):
        open_source(shared_data / "text" / "coco_captions_val2017.json")


def test_emoji_in_many_languages(shared_data: Path) -> None:
    table = open_source(shared_data / "emoji" / "emoji.jsonl", Columns(captions="tags"))
    assert len(table) > 1600
    assert {"en", "zh", "hi"} <= {c.language for c in table[0].captions}


def test_flowers(shared_data: Path) -> None:
    table = open_source(shared_data / "flowers" / "val")
    assert len(table) == 300 and len({r.label for r in table}) == 5
    with pytest.raises(DataError, match=r"holds the splits train, val"):
        open_source(shared_data / "flowers")


def test_tables_without_captions_say_what_they_have(shared_data: Path) -> None:
    with pytest.raises(
        DataError, match=r"Its columns are: image, question, answer, answer_type, question_type, organ. Guessed: image"
    ):
        open_source(shared_data / "vqa_rad" / "train.jsonl")
    with pytest.raises(DataError, match=r"no image column .*Its columns are: Prompt, Category, Challenge, Note"):
        open_source(shared_data / "text" / "parti_prompts.tsv")
