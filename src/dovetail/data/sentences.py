"""A long text taken apart into its sentences, in languages that end them with a stop, Chinese among them."""

import re

# A stop with the quotes and brackets that close after it. In European scripts white space follows, so that neither 3.5
# nor example.org is taken apart; in Chinese and Japanese nothing need follow. An empty line ends a sentence too.
_END = re.compile(r"[.!?…؟।]+[\"'”’»)\]]*(?=\s|$)|[。！？｡]+[」』”’）]*|\n\s*\n")


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, with their stops; the text itself where there is only one.

    Knows no abbreviations: `Mt. Fuji at dawn.` is two. What has no letter, such as the number of a list's item, goes
    with the sentence that follows, at the end of the text with the one before.
    """
    found: list[str] = []
    held = ""
    for start, end in _spans(text):
        held = f"{held} {text[start:end].strip()}".strip()
        if any(map(str.isalpha, held)):
            found.append(held)
            held = ""
    if held and found:
        found[-1] += f" {held}"
    return found or [text]


def _spans(text: str) -> list[tuple[int, int]]:
    ends = [*(match.end() for match in _END.finditer(text)), len(text)]
    return list(zip([0, *ends[:-1]], ends, strict=True))
