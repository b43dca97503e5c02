"""What a profile says about given pictures: in which form they go to the provider, and their limits."""

from typing import Any, Literal

from msgspec import field

from framerelay.upstream.profile_words import MediaForm, PathText, Section, Template, TemplateText


class ImageLimits(Section, frozen=True, kw_only=True):
    """Limits for a picture: megabytes (also inline), pixels of a side, and width divided by height."""

    max_mb: float | None = None
    max_mb_inline: float | None = None
    side_px: list[int | None] | None = None
    ratio: list[float | None] | None = None
    types: list[str] | None = None


class Upload(Section, frozen=True, kw_only=True):
    """
    How a file is uploaded, and where its address (or id) is in the answer.

    ``multipart`` posts the file as ``file`` among ``fields``; ``put_url`` posts ``body``, then puts the bytes to the
    address at ``put``. ``url`` or ``id``: the path of what the create names instead of the picture; without either, the
    usual places are searched. ``number``: the id is a number, and is sent as one.
    """

    kind: Literal["multipart", "put_url", "form"]
    post: TemplateText
    file: str = "file"
    fields: dict[str, Any] = field(default_factory=dict)
    form: PathText | None = None
    body: Template = None
    put: PathText | None = None
    url: PathText | None = None
    id: PathText | None = None
    number: bool = False


class Media(Section, frozen=True, kw_only=True):
    """How a picture may be given, in any order (uploads are tried first, links last), and its limits."""

    accepts: list[MediaForm] = field(default_factory=lambda: ["url"])
    image: ImageLimits | None = None
    body_max_mb: float | None = None
    upload: Upload | None = None
