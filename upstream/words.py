"""Words of others, bounded where they come in: a provider may put a whole page where a sentence is meant."""

from typing import Final

MESSAGE_CHARACTERS_MAX: Final = 500
CODE_CHARACTERS_MAX: Final = 100
ADDRESS_CHARACTERS_MAX: Final = 16_384
"""Signed addresses have a thousand or two; what is longer is none that a server takes."""


def cut(text: str, most: int = MESSAGE_CHARACTERS_MAX) -> str:
    """At most *most* characters of *text* without blanks around it; the last is an ellipsis where more is left out."""
    beginning = text[: 4 * most].strip()  # A text of megabytes is not copied for its blanks.
    is_whole = len(text) <= 4 * most and len(beginning) <= most
    return beginning if is_whole else beginning[: most - 1].rstrip() + "…"
