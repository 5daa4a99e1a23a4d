"""A frozen teacher against what it says of the same texts and pictures by itself."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from dovetail.contracts import Tokens
from dovetail.data.preprocessing import HALF, Preprocessing
from dovetail.data.text import train_bpe
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError
from dovetail.models.pretrained import save
from dovetail.models.teacher import FrozenTeacher
from tests.models.small import TEXTS, model


def _images() -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)


def _teacher(how: Preprocessing | None = None) -> DualEncoder:
    """A model with words of its own and, perhaps, another look at pictures."""
    made = model()
    made.tokenizer = train_bpe(TEXTS, vocab_size=259, context=20)  # letters alone
    made.preprocessing = how or made.preprocessing
    return made


def test_a_copy_says_what_the_model_said_and_does_not_learn() -> None:
    pupil, images = model(), _images()
    teacher = FrozenTeacher.copy_of(pupil)
    texts = pupil.tokenizer(TEXTS)
    before = pupil.image_features(images).pooled, pupil.text_features(texts).pooled
    torch.stack([p.sum() for p in pupil.parameters()]).sum().backward()
    torch.optim.SGD(pupil.parameters(), 0.1).step()
    found = teacher.image_features(images), teacher.text_features(texts, tokens=True)
    assert torch.equal(found[0].pooled, before[0]) and torch.equal(found[1].pooled, before[1])
    assert found[1].tokens is not None and not found[0].pooled.requires_grad
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not any(m.training for m in teacher.train().modules())


def test_it_reads_the_words_not_the_pupils_ids() -> None:
    pupil, owned = model(), _teacher()
    teacher, texts = FrozenTeacher(owned, pupil), [t for t in TEXTS if t]
    given = pupil.tokenizer(texts)
    noise = torch.where(given.mask, given.ids, 7)  # padding is not read
    expected = owned.text_features(owned.tokenizer(texts)).pooled
    assert torch.equal(teacher.text_features(Tokens(noise, given.mask)).pooled, expected)
    wrong = owned.text_features(given).pooled
    assert not torch.allclose(wrong, expected, atol=1e-3)


def test_no_texts_at_all() -> None:
    pupil = model()
    nothing = pupil.tokenizer(["a"])
    nothing = Tokens(nothing.ids[:0], nothing.mask[:0])
    for teacher in (FrozenTeacher(_teacher(), pupil), FrozenTeacher.copy_of(pupil)):
        assert teacher.text_features(nothing).pooled.shape == (0, 12)


@pytest.mark.parametrize("normalised", [False, True])
def test_pictures_are_normalised_as_the_teacher_wants_them(normalised: bool) -> None:
    pupil, images = model(), _images()
    owned = _teacher(Preprocessing(32, *HALF))
    given = pupil.preprocessing.normalise(images) if normalised else images
    found = FrozenTeacher(owned, pupil).image_features(given).pooled
    torch.testing.assert_close(found, owned.image_features(images).pooled, rtol=1e-4, atol=1e-4)


def test_pictures_are_resized_to_the_teachers_pixels() -> None:
    pupil, owned = model(), _teacher()
    pupil.preprocessing = replace(pupil.preprocessing, size=48)
    smooth = F.interpolate(torch.rand(2, 3, 4, 4), (48, 48), mode="bicubic").clamp(0, 1)
    images = (255 * smooth).round().to(torch.uint8)
    small = F.interpolate(images, (32, 32), mode="bicubic", antialias=True)  # in bytes, as pictures are read
    found = FrozenTeacher(owned, pupil).image_features(images).pooled
    torch.testing.assert_close(found, owned.image_features(small).pooled, rtol=0.02, atol=0.02)


def test_a_trained_model_by_name(tmp_path: Path) -> None:
    owned, pupil = _teacher(), model().double()
    save(owned, tmp_path / "clip")
    teacher = FrozenTeacher.named(str(tmp_path / "clip"), pupil)
    expected = owned.text_features(owned.tokenizer(["a dog"])).pooled
    found = teacher.text_features(pupil.tokenizer(["a dog"])).pooled
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.float(), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(CheckpointError, match="no such folder"):
        FrozenTeacher.named("nowhere-at-all", pupil)
