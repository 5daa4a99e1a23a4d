"""The contenders of data.py: each gives an endless row of training batches of the same pictures, made by workers."""

import itertools
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from PIL import Image
from torch.utils.data import DataLoader, Dataset

from dovetail.data.cache import Cache, Shrunk
from dovetail.data.collate import Collate, Pictures
from dovetail.data.loading import loader
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.sources import Stream, Table, open_source
from dovetail.data.stream import Plan
from dovetail.data.text import Tokenizer

warnings.filterwarnings("ignore", message=".*pin_memory.*")


@dataclass(frozen=True)
class Work:
    """The same for all: pictures as a folder with a table, as shards, and resized; and what a batch is."""

    table: Path  # a csv with tabs, `filepath` and `title`, as open_clip wants it
    files: tuple[Path, ...]
    shards: tuple[Path, ...]
    cache: Path
    tokenizer: Tokenizer
    how: Preprocessing
    batch: int
    workers: int

    @property
    def braces(self) -> str:
        """The shards as one pattern."""
        return str(self.shards[0].parent / f"{{0..{len(self.shards) - 1}}}.tar")


class Decoded(Dataset[int]):
    """Batches of pictures that are decoded and thrown away: nothing but the image library."""

    def __init__(self, work: Work, at_least: int | None):
        self.work, self.at_least = work, at_least

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, number: int) -> int:
        files, batch = self.work.files, self.work.batch
        for i in range(number * batch, (number + 1) * batch):
            with Image.open(files[i % len(files)]) as image:
                if self.at_least is not None:
                    image.draft(None, (self.at_least, self.at_least))
                image.load()
        return number


def decoding(work: Work, at_least: int | None) -> Iterator[Any]:
    """Pillow alone."""
    return iter(DataLoader(Decoded(work, at_least), batch_size=None, num_workers=work.workers))


def ours(work: Work, source: Table | Stream, pictures: Pictures | None = None) -> Iterator[Any]:
    """The way of `dovetail train`."""
    collate = Collate(work.how, work.tokenizer, captions_per_image=1, pictures=pictures)
    return loader(Plan([source], work.batch), collate, work.workers)


def cached(work: Work) -> Iterator[Any]:
    """Dovetail, reading what it keeps resized."""
    return ours(work, open_source(work.table), Cache(work.cache, Shrunk.of(work.how)))


@cache
def clip_tokenizer() -> Callable[[list[str]], Any]:
    """open_clip's own, which takes a while to read."""
    from open_clip import SimpleTokenizer

    return SimpleTokenizer()


def open_clip(work: Work, kind: str) -> Iterator[Any]:
    """open_clip's loader for training, with its transform, the same share of the area and its tokenizer."""
    from open_clip.transform import AugmentationCfg, image_transform
    from open_clip_train import data
    from webdataset.tariterators import tar_file_expander

    # webdataset 1 marks the end of a shard unless told not to, and open_clip 3.3 stumbles over the mark
    data.tar_file_expander = partial(tar_file_expander, eof_value=None)
    transform = image_transform(work.how.size, is_train=True, aug_cfg=AugmentationCfg(scale=work.how.crop))
    paths = {"csv": str(work.table), "webdataset": work.braces}
    given = Namespace(
        train_data=paths[kind], csv_img_key="filepath", csv_caption_key="title", csv_separator="\t", distributed=False,
        batch_size=work.batch, workers=work.workers, dataset_resampled=False, train_num_samples=1_000_000, world_size=1,
        train_data_upsampling_factors=None, seed=0,
    )  # fmt: skip
    make = {"csv": data.get_csv_dataset, "webdataset": data.get_wds_dataset}[kind]
    batches = make(given, transform, is_train=True, tokenizer=clip_tokenizer()).dataloader
    return itertools.chain.from_iterable(itertools.repeat(batches))


def webdataset(work: Work) -> Iterator[Any]:
    """webdataset's loader as its manual has it; torchvision's crop, bytes, texts left as they are."""
    import webdataset as wds
    from torchvision.transforms import v2

    crop = v2.RandomResizedCrop(work.how.size, work.how.crop, interpolation=v2.InterpolationMode.BICUBIC)
    transform = v2.Compose([crop, v2.RandomHorizontalFlip(), v2.PILToTensor()])
    data = wds.WebDataset(work.braces, resampled=True, shardshuffle=False, nodesplitter=wds.split_by_node)
    samples = data.shuffle(1000).decode("pil").to_tuple("jpg", "txt").map_tuple(transform, str)
    return iter(wds.WebLoader(samples.batched(work.batch), batch_size=None, num_workers=work.workers))


CONTENDERS: dict[str, tuple[str, Callable[[Work], Iterator[Any]]]] = {
    "decode, reduced": (
        "Pillow opens and decodes each file with draft mode at Dovetail's setting, and throws it away: the limit",
        lambda work: decoding(work, work.how.at_least),
    ),
    "decode, full": ("the same without draft mode", lambda work: decoding(work, None)),
    "folder, dovetail": (
        "draft mode, random crop resized by torch, mirrored, bytes; captions tokenized by the batch",
        lambda work: ours(work, open_source(work.table)),
    ),
    "folder, open_clip": (
        "open_clip_train.data.get_csv_dataset: full decode, crop resized by Pillow, normalised floats; tokenized",
        lambda work: open_clip(work, "csv"),
    ),
    "shards, dovetail": (
        "as for the folder; the tar files are read by the main process",
        lambda work: ours(work, open_source(work.braces)),
    ),
    "shards, open_clip": (
        "open_clip_train.data.get_wds_dataset: as for the folder; the tar files are read by the workers",
        lambda work: open_clip(work, "webdataset"),
    ),
    "shards, webdataset": (
        "full decode, torchvision's random crop (Pillow), mirrored, bytes; captions not tokenized",
        webdataset,
    ),
    "cache, dovetail": ("as for the folder, from pictures resized before (--cache)", cached),
}
