"""The words of others, limited where they come in: a provider may put a whole page where a sentence is expected."""

from typing import Final

MESSAGE_CHARACTERS_MAX: Final = 500
CODE_CHARACTERS_MAX: Final = 100
ADDRESS_CHARACTERS_MAX: Final = 16_384
"""Signed addresses have a thousand or two; a longer one is accepted by no server."""


def cut(text: str, most: int = MESSAGE_CHARACTERS_MAX) -> str:
    """At most *most* characters of *text* without blanks around it; the last is an ellipsis if more is left out."""
    beginning = text[: 4 * most].strip()  # A text of megabytes is not copied because of its blanks.
    is_whole = len(text) <= 4 * most and len(beginning) <= most
    return beginning if is_whole else beginning[: most - 1].rstrip() + "…"
