import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dovetail.contracts import Kind
from dovetail.data.collate import Collate, Draw
from dovetail.data.images import decode
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import Caption, Record, Region
from dovetail.data.text import Tokenizer, train_bpe

HOW = Preprocessing(size=16)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_bpe(["a red box", "a blue box on the left"], 300, 12)


def record(i: int, captions: int = 3, negatives: int = 0, regions: tuple[Region, ...] = ()) -> Record:
    pixels = np.random.default_rng(i).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    texts = [Caption(f"caption {k} of {i}") for k in range(captions)]
    texts += [Caption(f"wrong {k} of {i}", Kind.NEGATIVE) for k in range(negatives)]
    return Record(pixels, tuple(texts), f"list item {i}", 100 + i, regions=regions)


def test_an_evaluation_batch(tokenizer: Tokenizer) -> None:
    records = [record(0, 3), record(1, 1), record(2, 2, negatives=1)]
    loaded = Collate(HOW, tokenizer, captions_per_image=1)([Draw(r) for r in records])
    batch = loaded.batch
    assert batch is not None and loaded.skipped == ()
    assert batch.images.dtype == torch.uint8 and batch.images.shape == (3, 3, 16, 16)
    for image, r in zip(batch.images, records, strict=True):
        assert torch.equal(image, HOW.evaluate(decode(r.image)))
    assert batch.captions.owner.tolist() == [0, 0, 0, 1, 2, 2, 2]  # all of them, whatever is asked for training
    assert batch.captions.kind.tolist() == [0, 0, 0, 0, 0, 0, Kind.NEGATIVE]
    assert torch.equal(batch.captions.tokens.ids, tokenizer([c.text for r in records for c in r.captions]).ids)
    assert batch.ids.tolist() == [100, 101, 102] and batch.ids.dtype == torch.int64
    assert batch.names == ("list item 0", "list item 1", "list item 2")
    assert batch.regions is None and batch.labels is None and batch.weights is None


def test_negatives_are_left_out_where_nobody_wants_them(tokenizer: Tokenizer) -> None:
    r = record(2, 2, negatives=3)
    for draw, kept in ((Draw(r), 2), (Draw(r, 7), 1)):
        batch = Collate(HOW, tokenizer, captions_per_image=1, negatives=False)([draw]).batch
        assert batch is not None
        assert batch.captions.kind.tolist() == [Kind.RAW] * kept
    with_them = Collate(HOW, tokenizer, captions_per_image=1)([Draw(r, 7)]).batch
    assert with_them is not None and with_them.captions.kind.tolist() == [Kind.RAW, Kind.NEGATIVE]


def test_a_training_batch_depends_on_the_seeds_only(tokenizer: Tokenizer) -> None:
    collate = Collate(HOW, tokenizer, captions_per_image=2)
    records = [record(i, 5) for i in range(4)]
    draws = [Draw(r, seed) for seed, r in enumerate(records)]
    first, second = collate(draws).batch, collate(draws[2:]).batch
    random.seed(5)
    again = pickle.loads(pickle.dumps(collate))(draws).batch
    assert first is not None and second is not None and again is not None
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.captions.tokens.ids, again.captions.tokens.ids)
    assert torch.equal(first.images[2:], second.images)  # the company of an item does not matter
    other = collate([Draw(r, seed + 50) for seed, r in enumerate(records)]).batch
    assert other is not None and not torch.equal(first.images, other.images)
    assert not torch.equal(first.captions.tokens.ids, other.captions.tokens.ids)


def test_captions_are_sampled_evenly_and_negatives_apart(tokenizer: Tokenizer) -> None:
    collate = Collate(HOW, tokenizer, captions_per_image=2)
    r = record(0, captions=4, negatives=3)
    texts = [c.text for c in r.captions]
    counts = dict.fromkeys(texts, 0)
    for seed in range(300):
        drawn = collate._sample(r.captions, random.Random(seed))
        assert [c.kind for c in drawn] == [Kind.RAW] * 2 + [Kind.NEGATIVE] * 2
        assert len({c.text for c in drawn}) == 4
        for c in drawn:
            counts[c.text] += 1
    for text in texts:
        share = 2 / 4 if text.startswith("caption") else 2 / 3
        assert abs(counts[text] / 300 - share) < 0.1
    everything = Collate(HOW, tokenizer)._sample(r.captions, random.Random(0))
    assert everything == r.captions


def test_bad_images_are_left_out_and_named(tokenizer: Tokenizer, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    bad = {
        "missing image": tmp_path / "none.jpg",
        "truncated image": data[: len(data) // 2],
        "not an image": b"<html></html>",
        "image too small": np.zeros((1, 1, 3), np.uint8),
    }
    draws = [Draw(record(0), 1)]
    draws += [Draw(Record(image, (Caption("x"),), f"row {c}", 7), 2) for c, image in bad.items()]
    draws += [Draw(record(1, 2), 3)]
    loaded = Collate(HOW, tokenizer)(draws)
    assert loaded.skipped == tuple((c, f"row {c}") for c in bad)
    assert loaded.batch is not None
    assert loaded.batch.ids.tolist() == [100, 101]
    assert loaded.batch.captions.owner.tolist() == [0, 0, 0, 1, 1]
    nothing = Collate(HOW, tokenizer)(draws[1:-1])
    assert nothing.batch is None and len(nothing.skipped) == 4
    assert Collate(HOW, tokenizer)([]).batch is None


def test_images_without_captions(tokenizer: Tokenizer) -> None:
    batch = Collate(HOW, tokenizer)([Draw(record(0, 0)), Draw(record(1, 0))]).batch
    assert batch is not None and batch.images.shape[0] == 2
    assert batch.captions.owner.shape == (0,) and batch.captions.tokens.ids.shape == (0, 0)


def test_regions_follow_the_view(tokenizer: Tokenizer) -> None:
    boxes = [Region((0.0, 0.0, 0.5, 0.5), "a red box"), Region((0.5, 0.5, 1.0, 1.0), "a blue box")]
    draws = [Draw(record(0)), Draw(record(1, regions=tuple(boxes))), Draw(record(2, regions=(boxes[0],)))]
    batch = Collate(HOW, tokenizer)(draws).batch
    assert batch is not None and batch.regions is not None
    assert batch.regions.owner.tolist() == [1, 1, 2]
    torch.testing.assert_close(batch.regions.boxes, torch.tensor([boxes[0].box, boxes[1].box, boxes[0].box]))
    phrases = [boxes[0].phrase, boxes[1].phrase, boxes[0].phrase]
    assert torch.equal(batch.regions.phrases.ids, tokenizer(phrases).ids)
    mirror = Preprocessing(size=16, crop=(1.0, 1.0), aspect=(1.0, 1.0), flip=1.0)
    batch = Collate(mirror, tokenizer)([Draw(draws[2].record, 0)]).batch
    assert batch is not None and batch.regions is not None
    torch.testing.assert_close(batch.regions.boxes, torch.tensor([[0.5, 0.0, 1.0, 0.5]]))


def test_all_regions_cropped_away(tokenizer: Tokenizer) -> None:
    tight = Preprocessing(size=16, crop=(0.05, 0.05), aspect=(1.0, 1.0))
    corner = Region((0.0, 0.0, 0.01, 0.01), "a corner")
    found = 0
    for seed in range(5):
        batch = Collate(tight, tokenizer)([Draw(record(0, regions=(corner,)), seed)]).batch
        assert batch is not None and batch.regions is not None
        assert batch.regions.boxes.shape == (len(batch.regions.owner), 4)
        found += len(batch.regions.owner)
    assert found < 5


def test_real_photos(shared_data: Path, tokenizer: Tokenizer) -> None:
    files = sorted((shared_data / "flickr8k" / "images").glob("*.jpg"))[:32]
    collate = Collate(Preprocessing(size=112), tokenizer, 1)
    loaded = collate([Draw(Record(f, (Caption("x"),), f.name, i), i) for i, f in enumerate(files)])
    assert loaded.batch is not None and loaded.batch.images.shape == (32, 3, 112, 112) and loaded.skipped == ()
    assert 20 < loaded.batch.images.float().std(dim=(1, 2, 3)).mean() < 100
