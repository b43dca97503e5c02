"""How a picture is handed to a provider: uploaded, in the request itself, or as a link that we sign. Pure functions."""

import base64
import math
from typing import Final, Literal

from framerelay.upstream.profile import Profile
from framerelay.upstream.providers import HandOff

PictureForm = Literal["upload", "inline", "serve"]
_ACCEPTED_AS: Final[dict[PictureForm, tuple[str, ...]]] = {
    "upload": ("upload",),
    "inline": ("data_uri", "base64"),
    "serve": ("url",),
}


def picture_forms(profile: Profile, handoff: HandOff) -> tuple[PictureForm, ...]:
    """
    The forms to try, in order: those that the profile accepts, or the one that the settings name.

    Empty if the profile accepts none of them.
    """
    forms: tuple[PictureForm, ...] = tuple(_ACCEPTED_AS) if handoff == "auto" else (handoff,)
    return tuple(form for form in forms if set(_ACCEPTED_AS[form]) & set(profile.media.accepts))


def takes_addresses(profile: Profile) -> bool:
    """Whether it fetches pictures by their address: one that a person gave, or one of its own."""
    return "url" in profile.media.accepts


def inline_bytes_max(profile: Profile) -> int | None:
    """How large a picture may be inside a request; None if that is unknown."""
    image = profile.media.image
    megabytes = (image.max_mb_inline or image.max_mb) if image else None
    return None if megabytes is None else int(megabytes * 1_000_000)


def body_bytes_max(profile: Profile) -> int | None:
    """How large a whole request may be; None if that is unknown."""
    megabytes = profile.media.body_max_mb
    return None if megabytes is None else int(megabytes * 1_000_000)


def inline_bytes(size_bytes: int) -> int:
    """How many bytes `inline_text` makes of this many, at most."""
    return 4 * math.ceil(size_bytes / 3) + len("data:application/octet-stream;base64,")


def inline_text(profile: Profile, content: bytes, media_type: str) -> str:
    """*content* as it is in a request: a data URI, or bare base64 if nothing else is accepted."""
    text = base64.b64encode(content).decode()
    return f"data:{media_type};base64,{text}" if "data_uri" in profile.media.accepts else text
