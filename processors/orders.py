"""What a provider is asked for a take: its pictures in a form that it takes, and the order that contains them."""

import math
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.processors.hand_off import Taker, first_frame, last_frame, references
from framerelay.runs.maker import Maker
from framerelay.runs.model import FirstFrame, Run, Shot, Take
from framerelay.runs.takes import life_s, reference
from framerelay.runs.tokens import TakeAddress
from framerelay.upstream.client import JobsClient
from framerelay.upstream.credentials import key_mark
from framerelay.upstream.order import Order, PictureValue
from framerelay.upstream.pictures import body_bytes_max, inline_bytes, inline_text
from framerelay.upstream.profile import Profile
from framerelay.upstream.providers import Provider
from framerelay.upstream.search import can_be_searched
from framerelay.upstream.transport import encode_body

BESIDE_PICTURES: Final = 4096  # Bytes of a request for names of fields, the callback address and our reference.
CALLED_LATE_S: Final = 86_400.0  # A callback is sent after its job's end, and again if that failed.

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """All that a submit needs before money is spent: who is asked, and the pictures in a form that it takes."""

    provider: Provider
    client: JobsClient
    maker: Maker
    first: FirstFrame | None
    last: FirstFrame | None
    references: Mapping[str, list[str]]


async def prepare(deps: Deps, run: Run, shot: Shot) -> Preparation:
    """
    Do everything for a submit that can be repeated and costs nothing.

    Raises: RequestInvalid if the provider cannot be used, or not for this; otherwise as `hand_off.first_frame`.
    """
    provider, client = deps.clients.provider(run.provider_of(shot)), deps.clients.of(run.provider_of(shot))
    poll, taker = client.profile.poll, Taker(provider=provider, client=client)
    pictures = await _pictures_of(deps, run, shot, taker)
    if not await _has_room(deps, shot, client.profile, pictures):
        log.warning("request_too_large", provider=provider.name, megabytes=client.profile.media.body_max_mb)
        pictures = await _pictures_of(deps, run, shot, replace(taker, without_inline=True))
    return Preparation(
        provider=provider,
        client=client,
        maker=Maker(
            provider=provider.name,
            profile=client.profile.id,
            base=client.base,
            model=run.model_of(shot),
            poll_s=None if provider.calls_back else (poll.first_s, poll.every_s),
            findable=can_be_searched(client.profile),
            key_mark=key_mark(provider.key or ""),
        ),
        first=pictures.first,
        last=pictures.last,
        references=pictures.references,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pictures:
    """What a shot is given, in a form that the provider takes."""

    first: FirstFrame | None
    last: FirstFrame | None
    references: Mapping[str, list[str]]


async def _pictures_of(deps: Deps, run: Run, shot: Shot, taker: Taker) -> _Pictures:
    return _Pictures(
        first=await first_frame(deps, run, shot, taker),
        last=await last_frame(deps, shot, taker),
        references=await references(deps, shot, taker),
    )


async def _has_room(deps: Deps, shot: Shot, profile: Profile, pictures: _Pictures) -> bool:
    """Whether the request stays within the limit with its pictures; each takes a third more there than as a file."""
    most = body_bytes_max(profile)
    inline = [each.path for each in (pictures.first, pictures.last) if each and each.source == "inline" and each.path]
    size = sum([inline_bytes((await deps.media.fetch(path)).stat().st_size) for path in inline])
    size += sum(len(text) for texts in pictures.references.values() for text in texts)
    if most is None or (not inline and size <= most):
        return True
    return size + len(encode_body([shot.input, shot.extra])) + BESIDE_PICTURES <= most


async def order_of(deps: Deps, run: Run, shot: Shot, take: Take, ready: Preparation) -> Order:
    """The order for *take*, whose intent is stored."""
    fields = {**shot.input, **ready.references}
    if take.seed is not None:
        fields["seed"] = take.seed
    first, last = take.first_frame, ready.last
    return Order(
        model=run.model_of(shot),
        input=fields,
        take=reference(run, shot.id, take),
        callback_url=callback_url(deps, run, shot, take, ready.provider) if ready.provider.calls_back else None,
        first_frame=await _picture(deps, ready.client.profile, first),
        last_frame=await _picture(deps, ready.client.profile, last),
        first_frame_type=_type_of(first),
        last_frame_type=_type_of(last),
        extra=shot.extra,
        webhook_secret=ready.provider.webhook_secret,
    )


def callback_url(deps: Deps, run: Run, shot: Shot, take: Take, provider: Provider) -> str:
    """The callback address of *take*; it names the provider if callbacks are read by its profile."""
    name = None if provider.is_read_leniently else provider.name
    ends_at = address_ends_at(run, shot, take)
    address = TakeAddress(run_id=run.id, shot_id=shot.id, take=take.number, ends_at=ends_at, provider=name)
    return f"{deps.settings.reachable_url}/webhook/{deps.tokens.mint(address)}"


def address_ends_at(run: Run, shot: Shot, take: Take) -> int:
    """
    When the callback address of a take expires, in seconds since 1970.

    It follows from the stored intent, so the address of a take is the same whenever it is made, and an address with
    another end was made for another submit.
    """
    return math.ceil(take.submitted_at + life_s(run, shot) + CALLED_LATE_S)


async def _picture(deps: Deps, profile: Profile, frame: FirstFrame | None) -> PictureValue | None:
    if frame is None:
        return None
    if frame.source == "inline" and frame.path is not None:
        return inline_text(profile, (await deps.media.fetch(frame.path)).read_bytes(), _type_of(frame))
    upload = profile.media.upload
    is_number = frame.source == "upload" and upload is not None and upload.number
    return int(frame.url) if is_number and frame.url.isdecimal() else frame.url


def _type_of(frame: FirstFrame | None) -> str:
    """The media type of a picture of ours; one that is only an address is most likely what we make ourselves."""
    path = frame.path if frame else None
    return mimetypes.guess_type(Path(path).name)[0] or "image/png" if path else "image/png"
