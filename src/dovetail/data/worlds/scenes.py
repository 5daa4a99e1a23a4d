"""A world as a data source: scenes drawn, rendered and described on access."""

from dovetail.data.records import DataError, Problems, Record, Region
from dovetail.data.worlds.captions import Language, captions
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.english import ENGLISH
from dovetail.data.worlds.facts import Scene
from dovetail.data.worlds.render import render
from dovetail.data.worlds.sampling import Sampler, Vocabulary
from dovetail.data.worlds.statements import FULL, Mention


class Scenes:
    """A table of `count` scenes. Scene i of a seed is always the same, whatever `count` and `size` are.

    objects: least and most things per scene. vocabulary: what things may be, and which combinations are held out.
    noise: rate of captions with one attribute wrong. first: index of the first scene, so that tables of one seed with
    disjoint ranges share no scene. Raises DataError for values out of range.
    """

    def __init__(
        self,
        count: int,
        seed: int = 0,
        size: int = 64,
        objects: tuple[int, int] = (1, 4),
        vocabulary: Vocabulary = Vocabulary(),  # noqa: B008 (frozen)
        noise: float = 0.0,
        first: int = 0,
        language: Language = ENGLISH,
    ) -> None:
        if count < 1 or first < 0:
            raise DataError(f"count={count}, first={first}: expected count of at least 1 and first of at least 0")
        if not 0 <= noise <= 1:
            raise DataError(f"noise={noise}: expected a rate between 0 and 1")
        self.count, self.seed, self.size, self.first = count, seed, size, first
        self.noise, self.language = noise, language
        self.sampler = Sampler(objects, vocabulary)
        self.name = f"scenes {first} to {first + count - 1} of seed {seed}"
        self.problems = Problems()
        render(self.scene(0), size)  # a size that cannot be rendered is refused here

    def __len__(self) -> int:
        return self.count

    def scene(self, index: int) -> Scene:
        """The facts of item `index`."""
        if not 0 <= index < self.count:
            raise IndexError(f"scene {index} of {self.count}")
        return self.sampler(self.seed, self.first + index)

    def __getitem__(self, index: int) -> Record:
        """The item, rendered: its image is uint8 (size size 3), its facts are in extra["scene"].

        extra["wrong_captions"] holds the indices of captions that noise made wrong.
        """
        scene, key = self.scene(index), (self.seed, self.first + index)
        picture = render(scene, self.size)
        told = captions(scene, key, self.noise, self.language)
        words = Draws("regions", self.language.code, *key)
        phrases = (self.language.phrase(Mention(thing, FULL), words) for thing in scene.things)
        return Record(
            image=picture.image,
            captions=told.texts,
            name=f"scene {key[1]} of seed {self.seed}",
            id=scene.identity,
            label=scene.things[0].name if len(scene.things) == 1 else None,
            regions=tuple(Region(box, phrase) for box, phrase in zip(picture.boxes, phrases, strict=True)),
            extra={"scene": scene, "wrong_captions": told.wrong},
        )

    def split(self, *counts: int) -> list["Scenes"]:
        """Tables of the given lengths over disjoint ranges of these scenes: `train, test = scenes.split(20000, 2000)`.

        Raises DataError when there are fewer scenes than that.
        """
        if sum(counts) > self.count:
            raise DataError(f"{self.count} scenes do not split into {' + '.join(map(str, counts))}; make more")
        starts = [self.first + sum(counts[:i]) for i in range(len(counts))]
        return [self._range(start, count) for start, count in zip(starts, counts, strict=True)]

    def _range(self, first: int, count: int) -> "Scenes":
        s = self.sampler
        return Scenes(count, self.seed, self.size, s.objects, s.vocabulary, self.noise, first, self.language)


def zero_shot_classes(
    vocabulary: Vocabulary = Vocabulary(),  # noqa: B008 (frozen)
    language: Language = ENGLISH,
) -> dict[str, tuple[str, ...]]:
    """The combinations of colour and shape, named as the labels of single things are, each with its prompts."""
    return {name: language.prompts(*name.split()) for name in vocabulary.names}
