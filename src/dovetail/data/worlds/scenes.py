"""A world as a data source: scenes drawn, rendered and described on access."""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import UInt8

from dovetail.contracts import Kind
from dovetail.data.records import Caption, DataError, Problems, Record, Region
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import Scene
from dovetail.data.worlds.pictures.render import Flat, Picture, Style
from dovetail.data.worlds.pictures.video import video
from dovetail.data.worlds.sampling import Sampler, Vocabulary
from dovetail.data.worlds.tasks.negatives import Negative, check_kinds, negatives
from dovetail.data.worlds.words.captions import Language, Telling, captions
from dovetail.data.worlds.words.english import ENGLISH
from dovetail.data.worlds.words.statements import FULL, Mention

SENSES = ("depth", "video")


@dataclass(frozen=True)
class World:
    """The knobs: what there is (sampler), how it looks (style) and what is said of it (telling).

    negatives: kinds of nearly true texts (of `negatives.KINDS`) that are added to a record's captions, in each of its
    languages, as Kind.NEGATIVE. senses: what a record has beside its image: `depth`, how far each pixel is (of the
    solid style; of the others, in which order things lie), and `video`, of scenes in which something moves.
    Raises DataError for an unknown kind or sense.
    """

    sampler: Sampler = Sampler()
    style: Style = Flat()
    telling: Telling = Telling()
    negatives: tuple[str, ...] = ()
    senses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_kinds(self.negatives)
        if unknown := [sense for sense in self.senses if sense not in SENSES]:
            raise DataError(f"unknown senses: {', '.join(unknown)}; there are {', '.join(SENSES)}")


@dataclass(frozen=True)
class Scenes:
    """A table of `count` scenes. Scene i of a seed is always the same, whatever `count` and `size` are.

    size: of the pictures, in pixels. first: index of the first scene, so that tables of one seed with disjoint ranges
    share no scene. Raises DataError for values out of range.
    """

    count: int
    seed: int = 0
    size: int = 64
    world: World = World()
    first: int = 0
    problems: Problems = field(default_factory=Problems, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.count < 1 or self.first < 0:
            raise DataError(f"count={self.count}, first={self.first}: expected at least 1 scene and first at least 0")
        self.world.style(self.scene(0), self.size)  # a size that cannot be rendered is refused here

    @property
    def name(self) -> str:
        """Which scenes, for messages."""
        return f"scenes {self.first} to {self.first + self.count - 1} of seed {self.seed}"

    def __len__(self) -> int:
        return self.count

    def scene(self, index: int) -> Scene:
        """The facts of item `index`."""
        if not 0 <= index < self.count:
            raise IndexError(f"scene {index} of {self.count}")
        return self.world.sampler(self.seed, self.first + index)

    def __getitem__(self, index: int) -> Record:
        """The item, rendered: its image is uint8 (size size 3), and so are the frames of its video; depth is uint8
        (size size), from 0, the nearest point of the picture, to 255, the farthest. Its facts are in extra["scene"].

        Of its captions, which all come before the negatives, extra["tells"] names the kinds (of TELLS),
        extra["caption_noise"] what noise hit (None: nothing) and extra["wrong_captions"] the indices of those that are
        false. extra["negatives"] holds the negatives with their true siblings, in the order of the captions of
        Kind.NEGATIVE.
        """
        scene, key = self.scene(index), (self.seed, self.first + index)
        picture = self.world.style(scene, self.size)
        told = captions(scene, key, self.world.telling, self.world.sampler)
        language = self.world.telling.language
        nearly = self._negatives(scene, key)
        words = Draws("regions", language.code, *key)
        phrases = (language.phrase(Mention(thing, FULL), words) for thing in scene.things)
        return Record(
            image=picture.image,
            captions=(*told.texts, *(Caption(n.false, Kind.NEGATIVE, n.language) for n in nearly)),
            name=f"scene {key[1]} of seed {self.seed}",
            id=scene.identity,
            label=scene.things[0].name if len(scene.things) == 1 else None,
            regions=tuple(Region(box, phrase) for box, phrase in zip(picture.boxes, phrases, strict=True)),
            depth=depth_of(picture) if "depth" in self.world.senses else None,
            video=self._video(scene) if "video" in self.world.senses else (),
            extra={
                "scene": scene,
                "tells": told.tells,
                "caption_noise": told.noise,
                "wrong_captions": told.wrong,
                "negatives": nearly,
            },
        )

    def _negatives(self, scene: Scene, key: tuple[int, int]) -> tuple[Negative, ...]:
        world = self.world
        vocabulary, languages = world.sampler.vocabulary, world.telling.spoken
        return tuple(n for spoken in languages for n in negatives(scene, key, world.negatives, spoken, vocabulary))

    def _video(self, scene: Scene) -> tuple[UInt8[np.ndarray, "h w 3"], ...]:
        moves = any(thing.motion for thing in scene.things)
        return tuple(video(scene, size=self.size, style=self.world.style).frames) if moves else ()

    def split(self, *counts: int) -> list["Scenes"]:
        """Tables of the given lengths over disjoint ranges of these scenes: `train, test = scenes.split(20000, 2000)`.

        Raises DataError when there are fewer scenes than that.
        """
        if sum(counts) > self.count:
            raise DataError(f"{self.count} scenes do not split into {' + '.join(map(str, counts))}; make more")
        starts = [self.first + sum(counts[:i]) for i in range(len(counts))]
        return [replace(self, count=n, first=start) for start, n in zip(starts, counts, strict=True)]


def depth_of(picture: Picture) -> UInt8[np.ndarray, "h w"] | None:
    """How far every pixel is, from 0, the nearest of the picture, to 255, the farthest."""
    if picture.depth is None:
        return None
    near = picture.depth.min()
    span = picture.depth.max() - near
    return ((picture.depth - near) * (255 / max(span, np.finfo(np.float32).tiny)) + 0.5).astype(np.uint8)


def zero_shot_classes(
    vocabulary: Vocabulary = Vocabulary(),  # noqa: B008 (frozen)
    language: Language = ENGLISH,
) -> dict[str, tuple[str, ...]]:
    """The combinations of colour and shape, named as the labels of single things are, each with its prompts."""
    return {name: language.prompts(*name.split()) for name in vocabulary.names}
