"""The tree of errors as it is drawn, and as it is."""

import importlib
import pkgutil
import re

import framerelay
from framerelay.runs import errors


def subclasses(kind: type[Exception]) -> set[type[Exception]]:
    """All of them, at any depth."""
    return {each for direct in kind.__subclasses__() for each in {direct, *subclasses(direct)}}


def test_the_drawing_shows_every_error_where_it_stands() -> None:
    """Whoever catches one reads there what it is a kind of; the errors of all rooms are in it."""
    for module in pkgutil.walk_packages([f"{path}/store" for path in framerelay.__path__], "framerelay.store."):
        importlib.import_module(module.name)
    drawn, above = set(), ["FrameRelayError"]
    for line in (errors.__doc__ or "").splitlines():
        if entry := re.match(r"^    ([│ ]*)[├└]── (\w+)", line):
            depth = len(entry[1]) // 4 + 1
            above[depth:] = [entry[2]]
            drawn.add((above[depth - 1], entry[2]))
    ours = {kind for kind in subclasses(errors.FrameRelayError) if kind.__module__.startswith("framerelay.")}

    assert drawn == {(kind.__bases__[0].__name__, kind.__name__) for kind in ours}
