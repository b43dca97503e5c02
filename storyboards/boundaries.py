"""Where a shot begins and ends: what `from` and the given frames mean together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from framerelay.runs.model import From
from framerelay.runs.reaction import Reaction
from framerelay.storyboards.inputs import GIVEN, LOCAL, NO_PATHS, SCHEME
from framerelay.storyboards.notation import excerpt
from framerelay.storyboards.parts import Part, is_web_address, near


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderChoice:
    """Who makes a clip: the provider by its name in the settings, its model, and raw fields for it."""

    provider: str | None = None
    model: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """
    What applies to every shot of a storyboard.

    ``before``: the id of a shot before the first one, which hands its last frame to it (see `hooks`). ``needs_models``:
    there is none at the top, so each shot without one is a mistake. ``reaction``: to takes that fail.
    """

    defaults: dict[str, Any]
    style: str | None
    allow_paths: bool
    before: str | None
    choice: ProviderChoice
    needs_models: bool = False
    reaction: Reaction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A shot whose place in the story is settled, but whose keys have yet to be read."""

    id: str
    scene: str
    part: Part
    keys: dict[str, Part]
    opens: bool
    previous: str | None
    scene_frame: Part | None
    choice: ProviderChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """What a shot begins with (the last frame of *source*, or *first*), and what it ends on."""

    origin: str
    source: str | None
    first: Part | None
    last: Part | None

    @property
    def has_start(self) -> bool:
        """Whether the shot starts from a frame, either handed on or given."""
        return self.source is not None or self.first is not None


def read_boundary(draft: Draft, places: Mapping[str, int], defaults: Defaults) -> Boundary:
    """
    The boundary of *draft*, whose contradictions are reported; the frames themselves have yet to be read.

    *places*: every shot's id with its number in story order.
    """
    last = one_frame(draft.keys, "last_frame")
    ends = _read_origin(draft, places, defaults)
    if ends is None:  # Contradictions with it cannot be known either.
        return Boundary(origin="", source=None, first=one_frame(draft.keys, "first_frame"), last=last)
    origin, source = ends
    first = _first_frame(draft, origin, source)
    boundary = Boundary(origin=origin, source=None if first else source, first=first, last=last)
    if origin == From.BRIDGE and last is None:
        draft.part.miss("last_frame", message="a bridge ends on a picture of yours: add last_frame")
    if origin == From.BRIDGE and not boundary.has_start:
        draft.part.miss("first_frame", message="there is no shot before this bridge: add the frame that it starts from")
    elif last and not boundary.has_start:
        last.complain("a shot can end on a given frame only if it starts from one: add first_frame")
    return boundary


def _read_origin(draft: Draft, places: Mapping[str, int], defaults: Defaults) -> tuple[str, str | None] | None:
    """What ``from`` says, and the shot whose last frame this one would begin with."""
    part = draft.keys.get("from")
    if part is None:
        return From.CONTINUE.value, draft.previous
    origin = part.text()
    if origin is None:
        return None
    if origin in list(From):
        return origin, None if origin == From.CUT else draft.previous
    if origin == defaults.before or places.get(origin, len(places)) < places[draft.id]:
        return origin, origin
    if origin in places:
        which = "this shot itself" if origin == draft.id else "a later shot"
        part.complain(f'"{origin}" is {which}; a shot can only start from an earlier one')
    else:
        part.complain(
            f'there is no shot "{excerpt(origin)}"{near(origin, [*From, *_earlier(draft, places)])}; '
            "write continue, bridge, cut or the id of an earlier shot"
        )
    return None


def _earlier(draft: Draft, places: Mapping[str, int]) -> list[str]:
    """The ids that *draft* could start from, the nearest first."""
    return list(places)[: places[draft.id]][::-1]


def _first_frame(draft: Draft, origin: str, source: str | None) -> Part | None:
    """The given first frame: the shot's own, or the scene's for its first shot."""
    own, scenes = one_frame(draft.keys, "first_frame"), draft.scene_frame
    follows = origin in (From.CONTINUE, From.BRIDGE)
    if scenes and not follows:
        scenes.complain(f'this frame is never used: the scene\'s first shot has "from: {excerpt(origin)}"')
    elif scenes and own:
        own.complain("the scene gives its first shot a first_frame already: keep one of the two")
    if own and source and not (follows and draft.opens):
        own.complain(f'this shot starts from the last frame of "{excerpt(source)}": remove this, or write from: cut')
        return None
    return own or (scenes if follows else None)


def one_frame(keys: Mapping[str, Part], name: str) -> Part | None:
    """``first_frame`` or ``first_frame_url`` (or the last ones), whichever was written."""
    frame, url = keys.get(name), keys.get(f"{name}_url")
    if frame and url:
        url.complain(f"this says the same as {name}: keep one of the two")
    return frame or url


def read_frame(part: Part, defaults: Defaults) -> str | None:
    """A URL or ``file:NAME`` as written; a local file with `LOCAL` before it."""
    text = part.text()
    key = str(part.path[-1])
    if text is None or is_web_address(text) or _DATA.match(text) or GIVEN.fullmatch(text):
        return text
    scheme = SCHEME.match(text)
    if scheme:
        part.complain(f'"{excerpt(text)}" cannot be a frame: write {_FRAME_CHOICE}')
    elif key.endswith("_url"):
        part.complain(f'expected a URL, found "{excerpt(text)}": for a file write {key.removesuffix("_url")}')
    elif not defaults.allow_paths:
        part.complain(NO_PATHS)
    elif "\0" in text or "\n" in text:
        part.complain("a file's name cannot have such signs in it")
    else:
        return f"{LOCAL}{text}"
    return None


_DATA: Final = re.compile(r"data:image/[a-z0-9.+-]+[;,]", re.IGNORECASE)
_FRAME_CHOICE: Final = "a path such as ./refs/street.png, a URL (https://…, data:image/…), or file:NAME of a given file"
