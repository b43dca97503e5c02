"""The settings file, ``framerelay.yaml``: read once for each of its parts; all its keys are known here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from framerelay.runs.errors import Mistake, StoryboardInvalid
from framerelay.storyboards.documents import read_document
from framerelay.storyboards.parts import Part, root_of

FILE_KEYS: Final = ("hooks", "verify", "providers")  # The last two are read by `upstream`.


HOOK_KEYS: Final = ("storyboard", "title", "notify_url", "verify")


SettingsPart = TypeVar("SettingsPart")


def read_settings_file(path: Path, read: Callable[[Part], SettingsPart]) -> SettingsPart | None:
    """
    What *read* makes of the settings file *path*; None if there is no such file, or nothing in it.

    Raises: StoryboardInvalid with every mistake that *read* reported.
    """
    try:
        root = root_of(read_document(path.read_bytes(), form="yaml"))
        part = read(root) if root.value is not None else None
        root.notes.raise_if_any()
    except FileNotFoundError:
        return None
    except OSError as error:
        message = (error.strerror or "it cannot be read").lower()
        raise StoryboardInvalid([Mistake(place=path.name, message=message)]) from None
    except StoryboardInvalid as error:
        places = {"storyboard": path.name}
        raise StoryboardInvalid(
            [replace(one, place=places.get(one.place, one.place)) for one in error.mistakes]
        ) from None
    return part
