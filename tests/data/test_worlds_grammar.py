"""Gender, case, number, elision and measure words: exact wordings, and what no caption of many scenes may break."""

import re
from dataclasses import replace

import pytest

from dovetail.data.worlds import Thing
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.words.captions import Telling, captions
from dovetail.data.worlds.words.languages import LANGUAGES
from dovetail.data.worlds.words.plan import TELLS
from dovetail.data.worlds.words.statements import (
    Absent,
    AltText,
    Counted,
    Listing,
    Mention,
    Moving,
    Paragraph,
    Parts,
    Related,
    Seen,
    Statement,
    Summary,
    Written,
)
from tests.data.scenes import SCENES

THING = Thing("star", "red", "small", "plain", 200, 500, 130)
STAR, HEART, CROSS = (
    Mention(replace(THING, shape=shape, colour=colour), frozenset(("colour",)))
    for shape, colour in (("star", "red"), ("heart", "green"), ("cross", "blue"))
)
LARGE = replace(STAR, told=frozenset(("size", "colour")), thing=replace(STAR.thing, size="large"))
STRIPED = replace(HEART, told=frozenset(("texture", "colour")), thing=replace(HEART.thing, texture="dotted"))
LINKED = Paragraph(Listing((STAR, CROSS)), (Related(STAR, "below", CROSS),), "black")


def said(code: str, statement: Statement) -> set[str]:
    return {LANGUAGES[code].say(statement, Draws("words", i)) for i in range(100)}


@pytest.mark.parametrize(
    ("code", "statement", "texts"),
    [
        ("de", Counted(STAR, 1), "ein roter Stern|es gibt einen roten Stern|ein roter Stern ist zu sehen"),
        ("de", Counted(CROSS, 3), "drei blaue Kreuze|es gibt drei blaue Kreuze|drei blaue Kreuze sind zu sehen"),
        ("de", Absent(STAR), "kein roter Stern|es gibt keinen roten Stern|kein roter Stern ist zu sehen"),
        ("de", Related(STAR, "above", HEART), "ein roter Stern über einem grünen Herzen|"
         "ein roter Stern ist über einem grünen Herzen|ein grünes Herz mit einem roten Stern darüber"),
        ("de", Listing((LARGE, LARGE)), "zwei große rote Sterne|ein Bild von zwei großen roten Sternen|"
         "ein Bild mit zwei großen roten Sternen|es gibt zwei große rote Sterne"),
        ("de", LINKED, "Auf schwarzem Hintergrund gibt es zwei Formen: einen roten Stern und ein blaues Kreuz. "
         "Der rote Stern ist unter dem blauen Kreuz.|Das Bild zeigt zwei Formen auf schwarzem Hintergrund: "
         "einen roten Stern und ein blaues Kreuz. Der rote Stern ist unter dem blauen Kreuz."),
        ("de", AltText((STAR, CROSS), "grey"), "roter Stern, blaues Kreuz; grauer Hintergrund"),
        ("de", Moving(CROSS, "growing"), "ein blaues Kreuz wird größer|ein blaues Kreuz wächst"),
        ("de", Written("stop"), "unten steht das Wort „stop“|das Wort „stop“ steht unten im Bild"),
        ("fr", Counted(STAR, 1), "une étoile rouge|il y a une étoile rouge|on voit une étoile rouge"),
        ("fr", Counted(CROSS, 2), "deux croix bleues|il y a deux croix bleues|on voit deux croix bleues"),
        ("fr", Absent(STAR), "aucune étoile rouge|il n'y a aucune étoile rouge|on ne voit aucune étoile rouge"),
        ("fr", Related(STAR, "above", HEART), "une étoile rouge au-dessus d'un cœur vert|"
         "une étoile rouge est au-dessus d'un cœur vert|un cœur vert avec une étoile rouge au-dessus"),
        ("fr", Counted(STRIPED, 2), "deux cœurs verts à pois|il y a deux cœurs verts à pois|"
         "on voit deux cœurs verts à pois"),
        ("fr", Parts(CROSS.thing), "une croix bleue a quatre bras et une surface sans motif|"
         "une croix bleue possède quatre bras et une surface sans motif"),
        ("fr", AltText((STAR, CROSS), "white"), "étoile rouge, croix bleue ; fond blanc"),
        ("fr", Moving(STAR, "up"), "une étoile rouge se déplace vers le haut|une étoile rouge monte"),
        ("fr", Seen("above"), "vue du dessus|une vue du dessus"),
        ("es", Counted(STAR, 1), "una estrella roja|hay una estrella roja|se ve una estrella roja"),
        ("es", Counted(HEART, 2), "dos corazones verdes|hay dos corazones verdes|se ven dos corazones verdes"),
        ("es", Absent(HEART), "ningún corazón verde|no hay ningún corazón verde|no se ve ningún corazón verde"),
        ("es", Counted(LARGE, 2), "dos estrellas rojas grandes|hay dos estrellas rojas grandes|"
         "se ven dos estrellas rojas grandes"),
        ("es", Counted(CROSS, 2), "dos cruces azules|hay dos cruces azules|se ven dos cruces azules"),
        ("es", AltText((STAR, CROSS), "white"), "estrella roja, cruz azul; fondo blanco"),
        ("es", Summary(3, "cream"), "tres figuras sobre un fondo crema|"
         "una imagen con tres figuras sobre un fondo crema"),
        ("zh", Counted(CROSS, 2), "两个蓝色十字形|有两个蓝色十字形|可以看到两个蓝色十字形"),
        ("zh", Absent(CROSS), "没有蓝色十字形|图中没有蓝色十字形|看不到蓝色十字形"),
        ("zh", Moving(CROSS, "turning"), "一个蓝色十字形在旋转|一个蓝色十字形正在旋转|"
         "一个蓝色十字形在转动|一个蓝色十字形正在转动"),
        ("zh", Summary(3, "black"), "黑色背景上有三个图形|黑色背景上的三个图形"),
        ("zh", Seen("front"), "从正面看|从正面看到的画面"),
    ],
)  # fmt: skip
def test_wordings(code: str, statement: Statement, texts: str) -> None:
    assert said(code, statement) == set(texts.split("|"))


@pytest.mark.parametrize(
    ("code", "link"),
    [
        ("de", "Der rote Stern ist links (vom|neben dem) blauen Kreuz."),
        ("fr", "L'étoile rouge est à (la )?gauche de la croix bleue."),
        ("es", "La estrella roja está a (la|mano) izquierda de la cruz azul."),
        ("zh", "红色(星星|五角星)在蓝色十字形的左[边侧]。"),
    ],
)
def test_definite_articles(code: str, link: str) -> None:
    texts = said(code, Paragraph(Listing((STAR, CROSS)), (Related(STAR, "left of", CROSS),), "black"))
    assert all(re.search(f"{link}$", text) for text in texts), texts


def test_merged_articles() -> None:
    back = Paragraph(Listing((STAR, HEART)), (Related(STAR, "above", HEART), Related(HEART, "below", STAR)), "white")
    for text in said("fr", back):
        assert "L'étoile rouge est au-dessus du cœur vert." in text
        assert re.search("Le cœur vert est (en|au-)? ?dessous de l'étoile rouge.", text)
    for text in said("es", back):
        assert re.search("La estrella roja está (por )?encima del corazón verde.", text)


def everything(code: str) -> list[str]:
    telling = Telling(TELLS, languages=(LANGUAGES[code],))
    return [c.text for i, scene in enumerate(SCENES) for c in captions(scene, (11, i), telling).texts]


GENDERS = {
    **dict.fromkeys(("Kreis", "Stern", "Ring", "Halbmond"), "m"),
    **dict.fromkeys(("Scheibe", "Mondsichel", "Form", "Fläche"), "f"),
    **dict.fromkeys(("Quadrat", "Dreieck", "Herz", "Herzen", "Kreuz", "Bild", "Loch"), "n"),
}
GERMAN_ENDINGS = {
    ("ein", "m"): "er", ("ein", "n"): "es", ("eine", "f"): "e", ("einen", "m"): "en",
    ("einem", "m"): "en", ("einem", "n"): "en", ("einer", "f"): "en",
    ("der", "m"): "e", ("die", "f"): "e", ("das", "n"): "e",
    ("dem", "m"): "en", ("dem", "n"): "en", ("der", "f"): "en", ("vom", "m"): "en", ("vom", "n"): "en",
}  # fmt: skip


def test_german_adjectives_agree() -> None:
    phrase = re.compile(r"\b(k?ein\w{0,2}|[Dd]e[rm]|[Dd]ie|[Dd]as|vom) ((?:[a-zäöüß]+ )*)([A-Z]\w+)")
    seen = set()
    for text in everything("de"):
        for article, adjectives, noun in phrase.findall(text):
            if noun not in GENDERS or "Rand" in text:
                continue
            key = article.lower().removeprefix("k"), GENDERS[noun]
            assert key in GERMAN_ENDINGS, text
            assert all(a.endswith(GERMAN_ENDINGS[key]) for a in adjectives.split()), text
            assert (noun == "Herzen") == (key in {("einem", "n"), ("dem", "n"), ("vom", "n")}) or "Herz" not in noun, (
                text
            )
            seen.add(key)
        for adjectives, noun in re.findall(r"\b(?:zwei|drei) ((?:[a-zäöüß]+ )*)([A-Z]\w+)", text):
            assert all(a.endswith(("e", "en")) for a in adjectives.split()), text
            assert noun.endswith(("e", "en", "n")), text
    assert len(seen) >= 13, seen


def test_french_agrees_and_elides() -> None:
    masculine = "cercle|disque|carré|triangle|cœur|anneau|croissant"
    for text in everything("fr"):
        assert not re.search(r"\b(de|le|la) [aeiouéœ]", text), text
        assert not re.search(r"\bde le\b|\bà le\b", text), text
        assert not re.search(rf"\bune (petite? |grande? |grosse )?({masculine})\b", text), text
        assert not re.search(r"\bun (petit |grand |gros )?(étoile|croix)\b", text), text
        assert not re.search(rf"\b({masculine}) (verte|bleue|violette|brune)", text), text
        assert not re.search(r"\b(étoile|croix) (vert|bleu|violet|brun)\b", text), text
        assert not re.search(r"\b(deux|trois) (\w+ )?(étoile|croisé|cercle|anneau|cœur|carré|triangle)\b", text), text
        assert not re.search(r"\w+s (rouge|vert|bleu|violet|rose|jaune)\b", text.split(" est ")[0]), text


def test_spanish_agrees() -> None:
    for text in everything("es"):
        assert not re.search(r"\b(de|a) el\b", text), text
        assert not re.search(
            r"\bun (estrella|cruz|media)|\buna (círculo|disco|cuadrado|triángulo|corazón|an|aro)", text
        )
        assert not re.search(r"\b(estrella|cruz|luna) (rojo|amarillo|morado|rosado)\b", text), text
        assert not re.search(r"\b(círculo|disco|cuadrado|triángulo|corazón|anillo|aro) (roja|amarilla|morada)\b", text)
        assert not re.search(r"\b(dos|tres) \w+[^s\s]\b", text), text


def test_chinese_measure_words() -> None:
    fitting = {"颗": ("星星", "五角星", "爱心"), "弯": ("月牙", "新月")}
    others = ("圆形", "圆盘", "正方形", "方块", "三角形", "心形", "十字形", "圆环", "图形")
    nouns = "|".join([*fitting["颗"], *fitting["弯"], *others])
    seen = set()
    for text in everything("zh"):
        assert not re.search("二|[两三四五六]的", text), text
        for measure, noun in re.findall(rf"[一两三四五六]([个颗弯])[^一两三四五六，、；。]*?({nouns})", text):
            assert noun in fitting.get(measure, others), text
            seen.add(noun)
    assert len(seen) == 14
