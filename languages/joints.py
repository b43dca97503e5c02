"""How sentences and lists are joined, in English and in Chinese: punctuation, spaces, and lists of names. Pure."""

import re
from typing import Final

_ONE_OF_SEVERAL: Final = re.compile(r"[^\s,;:]+(?:, [^\s,;:]+)* (?:and|or) [^\s,;:]+")
_SEVERAL: Final = re.compile(r"[^\s,;:]+(?:, [^\s,;:]+)+")
_TWO_WIDE: Final = re.compile("[\u3400-\u9fff]{2}|[，。；：、（）].|.[，。；：、（）]")
_MIXED: Final = re.compile("[\u3400-\u9fff][A-Za-z0-9]|[A-Za-z0-9][\u3400-\u9fff]")
_TITLE_AND_ID: Final = re.compile(r'"([^"]*)" \((run_\w+)\)')
# The part after it is a provider's own.
OF_OTHERS: Final = re.compile(r"HTTP [0-9]{3}\b|[Tt]he provider says: ")


def ids_in(text: str) -> str | None:
    """An id, or a list of them, in Chinese; None if it is neither."""
    return several(text) or (None if set(" ,;:") & set(text) else text)


def several(text: str) -> str | None:
    """A list of names, ``s1, s2 and s3``, in Chinese; None if it is not one."""
    if _ONE_OF_SEVERAL.fullmatch(text):
        either = " or " in text
        return re.sub(" (?:and|or) ", " 或 " if either else " 和 ", text.replace(", ", "、"))
    return text.replace(", ", "、") if _SEVERAL.fullmatch(text) else None


def join(text: str, more: str) -> str:
    """*text* and *more*: with a space between a Chinese and a Latin character, but not between two Chinese ones."""
    before, after = text.rstrip(" "), more.lstrip(" ")
    edge = f"{before[-1:]}{after.removeprefix('-')[:1]}"  # A number may be below 0.
    if len(edge) < 2 or not (text + more).strip():
        return text + more
    if _TWO_WIDE.fullmatch(edge):
        return before + after
    return f"{before} {after}" if _MIXED.fullmatch(edge) else text + more


def split(text: str, joint: str) -> list[str]:
    """*text* split at each *joint* that is neither in quotes nor in the words of a provider."""
    pieces: list[str] = []
    for piece in text.split(joint):
        if pieces and (pieces[-1].count('"') % 2 or OF_OTHERS.search(pieces[-1] + joint)):
            pieces[-1] += joint + piece
        else:
            pieces.append(piece)
    return pieces


def bracket_of(text: str) -> int:
    """The position of the space before the bracket that the last character of *text* closes; -1: none."""
    at = len(text) - 1
    while at > 0 and text.count("(", at) < text.count(")", at):
        at = text.rfind("(", 0, at)
    return at - 1 if at > 0 and text[at - 1] == " " else -1


def with_wide_title(sentence: str) -> str:
    """*sentence*, which is Chinese, with the title and id of a run in it between Chinese quotes and brackets."""
    return _TITLE_AND_ID.sub(r"“\1”（\2）", sentence)
