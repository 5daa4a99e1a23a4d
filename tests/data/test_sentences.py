"""A text is taken apart where its sentences end, and nowhere else."""

import pytest

from dovetail.data.sentences import sentences
from dovetail.data.worlds import Sampler, Telling
from dovetail.data.worlds.words.captions import captions
from dovetail.data.worlds.words.languages import LANGUAGES


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A dog runs. A cat sleeps.", ["A dog runs.", "A cat sleeps."]),
        ("a dog runs.  a cat sleeps", ["a dog runs.", "a cat sleeps"]),
        ("It is 3.5 m long. See example.org, or v1.2!", ["It is 3.5 m long.", "See example.org, or v1.2!"]),
        ("Really?! Yes... Perhaps…  Good.", ["Really?!", "Yes...", "Perhaps…", "Good."]),
        ('He said "stop." Then he (of all people!) left.', ['He said "stop."', "Then he (of all people!)", "left."]),
        ("一只狗在跑。一只猫在睡！真的吗？是的", ["一只狗在跑。", "一只猫在睡！", "真的吗？", "是的"]),
        ("他说：「停！」然后走了。", ["他说：「停！」", "然后走了。"]),
        ("एक कुत्ता। एक बिल्ली।", ["एक कुत्ता।", "एक बिल्ली।"]),
        ("1. A dog. 2. A cat.", ["1. A dog.", "2. A cat."]),
        ("A title\n\nA line that\ngoes on.", ["A title", "A line that\ngoes on."]),
        ("A dog. ...", ["A dog. ..."]),
        ("Mt. Fuji.", ["Mt.", "Fuji."]),  # no list of abbreviations fits all languages
        ("no stop at all", ["no stop at all"]),
        ("42", ["42"]),
        ("", [""]),
    ],
)
def test_sentences(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


@pytest.mark.parametrize("code", list(LANGUAGES))
def test_the_paragraphs_of_the_worlds_have_several(code: str) -> None:
    sampler = Sampler((3, 3))
    told = captions(sampler(3, 1), (3, 1), Telling(("long",), languages=(LANGUAGES[code],)), sampler)
    (paragraph,) = told.texts
    assert len(sentences(paragraph.text)) >= 3
