"""Messages of libraries' errors, in a form that can be shown to a person."""

import re

PATHS = re.compile(r"(file:)?(?<![\w.])/[^\s'\"]+")
CHARACTERS_MAX = 200


def in_words(error: Exception) -> str:
    """The message of *error*, never empty, and without the files that it names: where those are is private."""
    if isinstance(error, EOFError | StopIteration):
        return "its data ends too early"
    text = getattr(error, "strerror", None) or str(error)
    return PATHS.sub("a file", " ".join(text.split()))[:CHARACTERS_MAX].rstrip(" .:") or type(error).__name__
