"""Chinese (simplified): statements in words, with measure words and no spaces."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import OPPOSITE
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
    Reworded,
    Seen,
    Statement,
    Summary,
    Vague,
    Written,
)
from dovetail.data.worlds.words.wording import Wording, grouped, joined

# The first word is the usual one.
WORDINGS: dict[str, tuple[str, ...]] = {
    "circle": ("圆形", "圆盘"),
    "square": ("正方形", "方块"),
    "triangle": ("三角形",),
    "star": ("星星", "五角星"),
    "heart": ("心形", "爱心"),
    "cross": ("十字形",),
    "ring": ("圆环",),
    "crescent": ("月牙", "新月"),
    "red": ("红色",),
    "orange": ("橙色", "橘色"),
    "yellow": ("黄色",),
    "green": ("绿色",),
    "blue": ("蓝色",),
    "purple": ("紫色",),
    "pink": ("粉色", "粉红色"),
    "brown": ("棕色", "褐色"),
    "white": ("白色",),
    "cream": ("米色", "奶油色"),
    "grey": ("灰色",),
    "black": ("黑色",),
    "small": ("小",),
    "medium": ("中等大小",),
    "large": ("大",),
    "plain": ("纯色", "无花纹"),
    "striped": ("带条纹", "有条纹"),
    "dotted": ("带圆点", "有圆点"),
    "checked": ("带格子", "有格子"),
    "left of": ("左边", "左侧"),
    "right of": ("右边", "右侧"),
    "above": ("上方", "上面"),
    "below": ("下方", "下面"),
    "upper left": ("左上角", "左上方"),
    "upper right": ("右上角", "右上方"),
    "lower left": ("左下角", "左下方"),
    "lower right": ("右下角", "右下方"),
    "left": ("左边", "左侧"),
    "right": ("右边", "右侧"),
    "top": ("上方", "顶部"),
    "bottom": ("下方", "底部"),
    "centre": ("中间", "中央"),
}
RARE = {
    "circle": "圆片",
    "crescent": "弦月",
    "red": "绯红色",
    "orange": "柑橘色",
    "yellow": "鹅黄色",
    "green": "翠绿色",
    "blue": "蔚蓝色",
    "purple": "紫罗兰色",
    "pink": "桃红色",
    "brown": "咖啡色",
    "small": "微小",
    "large": "巨大",
    "dotted": "带斑点",
    "checked": "带棋盘格",
}
MEASURES = {"星星": "颗", "五角星": "颗", "爱心": "颗", "月牙": "弯", "新月": "弯", "弦月": "弯", "圆片": "片"}
NUMBERS = ("零", "一", "两", "三", "四", "五", "六", "七", "八", "九", "十", "十一")
FRAMES = ("{}", "{}", "{}", "图中有{}", "一张有{}的图片", "有{}")
REFRAMES = ("图片展示了{}", "可以看到{}", "{}出现在图中", "图中所示的是{}")
COUNT_FRAMES = ("{}", "有{}", "可以看到{}")
NO_FRAMES = ("没有{}", "图中没有{}", "看不到{}")
OUTLINES = {
    "circle": "圆滑的边缘",
    "square": "四条相等的边",
    "triangle": "三条边",
    "star": "五个角",
    "heart": "两个圆弧",
    "cross": "四条臂",
    "ring": "一个圆洞",
    "crescent": "两个尖端",
}
SURFACES = {"plain": "没有花纹的表面", "striped": "白色条纹", "dotted": "白色圆点", "checked": "白色格子"}
# What it does, and the same in another word.
MOVES = {
    "left": ("向左移动", "往左移动"),
    "right": ("向右移动", "往右移动"),
    "up": ("向上移动", "往上移动"),
    "down": ("向下移动", "往下移动"),
    "turning": ("旋转", "转动"),
    "growing": ("变大", "增大"),
    "shrinking": ("变小", "缩小"),
}
SIDES = {"front": "正面", "left": "左侧", "right": "右侧", "above": "上方", "below": "下方"}


@dataclass(frozen=True)
class Chinese:
    """Statements in Chinese: captions without a full stop, paragraphs of sentences. rare: the rate of rare words."""

    code: str = "zh"
    rare: float = 0.0

    def rarely(self, rate: float) -> "Chinese":
        """The same, using rare words at this rate."""
        return replace(self, rare=rate)

    def say(self, statement: Statement, draws: Draws) -> str:
        """The statement in one of its wordings."""
        words = Wording(draws, WORDINGS, RARE, self.rare)
        match statement:
            case Listing(mentions):
                return draws.pick(FRAMES).format(_listed(mentions, words))
            case Related():
                return _related(statement, words)
            case Paragraph():
                return _paragraph(statement, words)
            case Counted(mention, count):
                return draws.pick(COUNT_FRAMES).format(_number(mention, count, words))
            case Absent(mention):
                return draws.pick(NO_FRAMES).format(_noun(mention, words))
            case Summary(count, background):
                ground = _ground(background, words)
                return draws.pick((f"{ground}有{_shapes(count)}", f"{ground}的{_shapes(count)}"))
            case Parts(thing):
                subject = _a(Mention(thing, frozenset(("colour",))), words)
                return f"{subject}{draws.pick(('有', '带有'))}{OUTLINES[thing.shape]}和{SURFACES[thing.texture]}"
            case Moving(mention, motion):
                return f"{_a(mention, words)}{draws.pick(('在', '正在'))}{draws.pick(MOVES[motion])}"
            case Written(word):
                return draws.pick(("底部写着“{}”", "底部写着单词“{}”")).format(word)
            case Seen(viewpoint):
                return draws.pick(("从{}看", "从{}看到的画面")).format(SIDES[viewpoint])
            case AltText(mentions, background):
                things = "，".join(_noun(m, words) if n == 1 else _number(m, n, words) for m, n in grouped(mentions))
                return f"{things}；{words(background)}背景"
            case Vague(count):
                return draws.pick(("图中有{}", "{}")).format("一些图形" if count > 1 else "某个图形")
            case Reworded(said):
                return _reworded(said, words)
        assert_never(statement)

    def phrase(self, mention: Mention, draws: Draws) -> str:
        """One thing by itself, such as a region's phrase: `一个大的带条纹的红色圆形`."""
        return _number(mention, 1, Wording(draws, WORDINGS, RARE, self.rare))

    def prompts(self, colour: str, shape: str) -> tuple[str, ...]:
        """The usual words for one thing in every frame: texts for zero-shot classification."""
        noun = WORDINGS[shape][0]
        thing = f"一{MEASURES.get(noun, '个')}{WORDINGS[colour][0]}{noun}"
        return tuple(dict.fromkeys(frame.format(thing) for frame in FRAMES))


def _paragraph(said: Paragraph, words: Wording) -> str:
    listed, ground = _listed(said.listing.mentions, words), _ground(said.background, words)
    count = len(said.listing.mentions)
    if count == 1:
        forms = (f"{ground}有{listed}", f"图片展示了{ground}的{listed}")
    else:
        forms = (f"{ground}有{_shapes(count)}：{listed}", f"图片展示了{ground}的{_shapes(count)}：{listed}")
    texts = [words.draws.pick(forms)]
    for link in said.related:
        texts.append(f"{_noun(link.subject, words)}在{_noun(link.object, words)}的{words(link.relation)}")
    return "".join(f"{text}。" for text in texts)


def _related(said: Related, words: Wording) -> str:
    a, by, b = _a(said.subject, words), words(said.relation), _a(said.object, words)
    plain = f"{a}在{b}的{by}"
    return words.draws.pick((plain, plain, f"{a}位于{b}的{by}", f"{b}，{by}是{a}"))


def _reworded(said: Listing | Related | Moving, words: Wording) -> str:
    """The other order of clauses, the relation from the other side, what one sees instead of what there is."""
    match said:
        case Listing(mentions):
            return words.draws.pick(REFRAMES).format(_listed(mentions, words))
        case Related(subject, name, object_):
            a, by, b = _a(subject, words), words(name), _a(object_, words)
            turned = f"{b}在{a}的{words(OPPOSITE[name])}"
            return words.draws.pick((f"在{b}的{by}有{a}", f"可以看到{a}在{b}的{by}", turned, f"{b}的{by}是{a}"))
        case Moving(mention, motion):
            a, moves = _a(mention, words), words.draws.pick(MOVES[motion])
            return words.draws.pick((f"可以看到{a}在{moves}", f"正在{moves}的是{a}", f"有{a}正在{moves}"))


def _listed(mentions: Iterable[Mention], words: Wording) -> str:
    return joined([_number(mention, count, words) for mention, count in grouped(mentions)], "和", "、")


def _number(mention: Mention, count: int, words: Wording) -> str:
    """`一个红色圆形`, `两颗蓝色星星`; a place comes first: `一个位于左上角的红色圆形`."""
    measure, place = MEASURES.get(words(mention.thing.shape), "个"), mention.facts[-1]
    where = "" if place is None else f"位于{words(place)}的"
    return f"{NUMBERS[count]}{measure}{where}{_noun(mention, words)}"


def _a(mention: Mention, words: Wording) -> str:
    return _number(mention, 1, words)


def _noun(mention: Mention, words: Wording) -> str:
    """Noun and adjectives, without number, measure word and place."""
    size, texture, colour, shape = mention.facts[:4]
    linked = "".join(f"{words(fact)}的" for fact in (size, texture) if fact is not None)
    return f"{linked}{words(colour) if colour is not None else ''}{words(shape or '')}"


def _shapes(count: int) -> str:
    return f"{NUMBERS[count]}个图形"


def _ground(background: str, words: Wording) -> str:
    return f"{words(background)}背景上"


CHINESE = Chinese()
