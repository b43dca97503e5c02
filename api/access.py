"""What a route requires of a request: a right, the names that it may use, and a limit on the size of a picture."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

VIDEO_BYTES_MAX: Final = 50_000_000  # The same for an input video.
PICTURE_BYTES_MAX: Final = 30_000_000  # Ark's limit for an input image.
COOKIE: Final = "framerelay_session"


class Right(IntEnum):
    """What a key gives access to; the greater right includes the smaller one."""

    READ = 1
    OPERATE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """
    What a route knows: *query* parameters and *fields* of a body; None if its body is not read here. *bytes_max*: of
    that body.
    """

    query: Collection[str] = ()
    fields: Collection[str] | None = None
    as_form: bool = False
    bytes_max: int = 1 << 16
