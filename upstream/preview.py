"""The request that a shot would lead to, for viewing: without a key, with a made-up callback address. Pure."""

from typing import Any, Final, TypedDict
from urllib.parse import urlencode

from framerelay.runs.model import Shot
from framerelay.storyboards.storyboard import Storyboard
from framerelay.upstream.credentials import base_of
from framerelay.upstream.order import Order, create_request
from framerelay.upstream.pictures import picture_forms
from framerelay.upstream.providers import HandOff, Provider

CALLBACK_URL: Final = "https://relay.example/webhook/TOKEN"
REFERENCE: Final = "00000000-0000-4000-8000-000000000000"


class RequestPreview(TypedDict):
    """What would be sent; ``headers`` say ``[key]`` instead of the key."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any


def preview(provider: Provider, board: Storyboard, shot: Shot, *, handoff: HandOff) -> RequestPreview:
    """
    The request for the first take of *shot*.

    Raises: RequestInvalid if no request can be made.
    """
    profile = provider.profile
    plan = create_request(profile, _order(provider, board, shot, provider.handoff or handoff))
    url = f"{base_of(provider.base, profile)}{plan.url}" if plan.url.startswith("/") else plan.url
    auth = profile.auth
    return RequestPreview(
        method=plan.method,
        url=f"{url}?{urlencode(plan.query)}" if plan.query else url,
        headers={
            **profile.headers,
            **plan.headers,
            auth.header: auth.value.replace("{key}", "[key]"),
            "Content-Type": "application/json",
        },
        body=plan.body,
    )


def _order(provider: Provider, board: Storyboard, shot: Shot, handoff: HandOff) -> Order:
    first = f"last-frame-of-{shot.source}.png" if shot.source else shot.first_frame
    return Order(
        model=shot.model or board.model,
        input=shot.input,
        take=REFERENCE,
        callback_url=CALLBACK_URL if provider.calls_back else None,
        first_frame=_picture(provider, first, handoff),
        last_frame=_picture(provider, shot.last_frame, handoff),
        extra=shot.extra,
        webhook_secret="[secret]" if provider.webhook_secret else None,
    )


def _picture(provider: Provider, name: str | None, handoff: HandOff) -> str | int | None:
    """What stands in for the picture *name*: an address is unchanged, a file is as it would be sent."""
    if name is None or name.startswith(("https://", "http://", "data:")):
        return name
    forms = picture_forms(provider.profile, handoff)
    upload = provider.profile.media.upload
    file = name.rpartition(":")[2].rpartition("/")[2]
    if forms[:1] == ("inline",):
        is_bare = "data_uri" not in provider.profile.media.accepts
        return f"{'' if is_bare else 'data:image/png;base64,'}[{file}]"
    if forms[:1] == ("upload",) and upload is not None and upload.number:
        return 1
    return f"https://relay.example/media/{file}" if forms[:1] == ("serve",) else f"https://files.example/{file}"
