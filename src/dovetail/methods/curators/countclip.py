"""CountCLIP: a caption that counts, with another number in it, is false of the picture.

Paiss et al., "Teaching CLIP to Count to Ten", 2023.

    three dogs playing in the yard  ->  six dogs playing in the yard                            (section 3)

The counterfactual caption has another number of two, ..., ten, each as likely. The authors published no code; so do
two public re-implementations. Only a caption with one number word is taken, before a plural that is no measure (`three
dogs`, not `three hours`), in English.

The paper keeps a caption only where an object detector finds as many things of the most frequent kind as it says. Here
boxes take the detector's place: of a record with regions a caption is taken only if as many of them are of its noun.
Without regions the number is believed. Not here: the paper's evening out of small and large numbers. Every record is
passed on, for the others are learnt from too.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from dovetail.catalogue import implements
from dovetail.contracts import Curator
from dovetail.data.counting import boxes_of, counted
from dovetail.data.falsehoods import with_falsehoods
from dovetail.data.records import Record, Region
from dovetail.data.vocabulary import NUMBERS
from dovetail.data.worlds.draws import Draws


@implements(Curator)
class CountCLIP:
    """Adds, for captions that count, the same with another number.

    Args:
        count: at most so many for each such caption.
        seed: another one draws other numbers.
    """

    requires = ()

    def __init__(self, count: int = 1, seed: int = 0):
        self.count, self.seed = count, seed

    def __call__(self, records: Iterable[Record]) -> Iterator[Record]:
        """Each record with its counterfactual captions, one at a time."""
        for record in records:
            yield with_falsehoods(record, self.count, ("countclip", self.seed), partial(_falsehoods, record.regions))


def _falsehoods(regions: Sequence[Region], text: str, draws: Draws) -> Iterator[str]:
    found = counted(text)
    if found is None or (regions and boxes_of(found.noun, regions) != found.number):
        return
    for number in draws.shuffled(range(2, 2 + len(NUMBERS))):
        if number != found.number:
            yield found.saying(number)
