"""What a batch holds beside images and captions: further views, depth, video, concepts, sentences of long captions."""

import pickle
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from dovetail.contracts import Batch, Crops, Kind
from dovetail.data.collate import Collate, Draw
from dovetail.data.loading import loader
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import Caption, Record
from dovetail.data.text import Tokenizer, train_bpe

HOW = Preprocessing(size=16)
PARAGRAPH = "A red box. A blue box! On the left? One more."
CROPS = (Crops(2, (0.05, 0.3), 0.0), Crops(1, (1.0, 1.0), 1.0))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_bpe(["a red box", PARAGRAPH], 300, 32)


def record(i: int, captions: Sequence[Caption] = (Caption("a red box"), Caption("one more"))) -> Record:
    pixels = np.random.default_rng(i).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return Record(pixels, tuple(captions), f"list item {i}", 100 + i)


def batch(collate: Collate, *draws: Draw) -> Batch:
    loaded = collate(draws).batch
    assert loaded is not None
    return loaded


def named(texts: Sequence[str]) -> list[int]:
    """The concepts of a text, for the tests: how long its words are."""
    return [len(word) for text in texts for word in text.split()]


def test_nothing_else_changes(tokenizer: Tokenizer) -> None:
    draws = [Draw(record(i, (*record(i).captions, Caption(PARAGRAPH, Kind.LONG))), 7 + i) for i in range(3)]
    plain = Collate(HOW, tokenizer, 1)
    more = replace(plain, views=CROPS, vocabulary=named)
    before, after = batch(plain, *draws), batch(more, *draws)
    assert torch.equal(before.images, after.images)
    assert torch.equal(before.captions.tokens.ids, after.captions.tokens.ids)
    assert before.views is None and before.concepts is None and before.depth is None and before.video is None
    assert torch.equal(before.images, batch(replace(more, sub_captions=2), *draws).images)


def test_views_are_cut_as_asked_image_by_image(tokenizer: Tokenizer) -> None:
    collate = pickle.loads(pickle.dumps(Collate(HOW, tokenizer, views=CROPS)))
    views = batch(collate, Draw(record(0), 1), Draw(record(1), 2)).views
    assert views is not None and views.images.shape == (6, 3, 16, 16) and views.images.dtype == torch.uint8
    assert views.owner.tolist() == [0, 0, 0, 1, 1, 1] and views.kind.tolist() == [0, 0, 1, 0, 0, 1]
    alone = batch(collate, Draw(record(1), 2)).views
    assert alone is not None and torch.equal(alone.images, views.images[3:])  # company does not matter
    assert not torch.equal(alone.images[0], alone.images[1])
    whole = Preprocessing(size=16, crop=(1.0, 1.0), aspect=(1.0, 1.0), flip=1.0)
    mirrored = batch(Collate(whole, tokenizer, views=(Crops(1, (0.5, 1.0), 0.0),)), Draw(record(0), 1))
    again = batch(replace(collate, preprocessing=replace(HOW, aspect=(1.0, 1.0))), Draw(record(0), 1)).views
    assert again is not None and torch.equal(again.images[2], mirrored.images[0])


def test_evaluation_has_no_views_and_bad_images_none_either(tokenizer: Tokenizer) -> None:
    collate = Collate(HOW, tokenizer, views=CROPS)
    assert batch(collate, Draw(record(0))).views is None
    broken = replace(record(1), image=b"no picture")
    views = batch(collate, Draw(broken, 3), Draw(record(0)), Draw(record(2), 4)).views
    alone = batch(collate, Draw(record(2), 4)).views
    assert views is not None and alone is not None
    assert views.owner.tolist() == [1, 1, 1] and torch.equal(views.images, alone.images)


def test_depth_and_video_follow_the_view(tokenizer: Tokenizer) -> None:
    grey = (np.linspace(0, 200, 40)[None] + np.linspace(0, 55, 30)[:, None]).astype(np.uint8)
    picture = grey[..., None].repeat(3, 2)
    one = replace(record(0), image=picture, depth=grey, video=(picture, picture))
    how = replace(HOW, jitter=(0.5, 0.0, 0.0))
    for seed in (None, 3, 4):
        seen = batch(Collate(how, tokenizer), Draw(record(1), seed), Draw(one, seed))
        assert seen.depth is not None and seen.video is not None
        assert seen.depth.owner.tolist() == seen.video.owner.tolist() == [1]
        assert seen.depth.frames.shape == (1, 1, 1, 16, 16) and seen.video.frames.shape == (1, 8, 3, 16, 16)
        plain = batch(Collate(HOW, tokenizer), Draw(one, seed))
        assert (plain.images[0, 0].int() - seen.depth.frames[0, 0, 0].int()).abs().max() <= 3
        assert (seen.images[1].int() - seen.video.frames[0, 0].int()).abs().max() <= 3
    without = batch(Collate(HOW, tokenizer, modalities=("video",)), Draw(one))
    assert without.depth is None and without.video is not None


def test_a_broken_depth_map_is_reported(tokenizer: Tokenizer) -> None:
    loaded = Collate(HOW, tokenizer)([Draw(replace(record(0), depth=b"x")), Draw(record(1))])
    assert loaded.skipped == (("depth: not an image", "list item 0"),)
    assert loaded.batch is not None and loaded.batch.ids.tolist() == [101]


def test_concepts_are_those_of_the_true_captions_in_the_batch(tokenizer: Tokenizer) -> None:
    said = (Caption("a red box"), Caption("a blue fox"), Caption("elephant", Kind.NEGATIVE))
    concepts = batch(Collate(HOW, tokenizer, vocabulary=named), Draw(record(0, said)), Draw(record(1, ()))).concepts
    assert concepts is not None
    assert concepts.index.tolist() == [1, 3, 4] and concepts.owner.tolist() == [0, 0, 0]
    drawn = batch(Collate(HOW, tokenizer, 1, vocabulary=named), Draw(record(0, said), 1)).concepts
    assert drawn is not None and drawn.index.tolist() in ([1, 3], [1, 4, 3])


def test_long_captions_give_way_to_sentences(tokenizer: Tokenizer) -> None:
    said = (Caption("a red box. one more."), Caption(PARAGRAPH, Kind.LONG, "en"), Caption("no. no.", Kind.NEGATIVE))
    parts = ["A red box.", "A blue box!", "On the left?", "One more."]
    collate = Collate(HOW, tokenizer, sub_captions=3)
    met: set[str] = set()
    for seed in range(20):
        captions = batch(collate, Draw(record(0, said), seed)).captions
        assert captions.kind.tolist() == [Kind.RAW, *[Kind.LONG] * 3, Kind.NEGATIVE]
        lines = [ids[mask].tolist() for ids, mask in zip(captions.tokens.ids, captions.tokens.mask, strict=True)]
        texts = {p for p in parts for line in lines[1:4] if tokenizer([p]).ids[0].tolist() == line}
        assert len(texts) == 3
        met |= texts
    assert met == set(parts)
    every = batch(replace(collate, sub_captions=9), Draw(record(0, said), 1)).captions
    assert every.kind.tolist().count(Kind.LONG) == 4
    assert batch(collate, Draw(record(0, said))).captions.kind.tolist() == [0, Kind.LONG, Kind.NEGATIVE]


def test_through_workers(tokenizer: Tokenizer) -> None:
    collate = Collate(HOW, tokenizer, 1, views=CROPS, vocabulary=named)
    draws = [[Draw(replace(record(i), depth=record(i).image), i) for i in (2 * k, 2 * k + 1)] for k in range(3)]
    for loaded, drawn in zip(loader(draws, collate, workers=1), draws, strict=True):
        found, here = loaded.batch, batch(collate, *drawn)
        assert found is not None and found.views is not None and here.views is not None
        assert torch.equal(found.views.images, here.views.images)
        assert found.depth is not None and here.depth is not None
        assert torch.equal(found.depth.frames, here.depth.frames)
        moved = found.to("cpu").views
        assert moved is not None and torch.equal(moved.kind, here.views.kind)
