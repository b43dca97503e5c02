"""
What a person should know about a storyboard before it costs anything: it is valid, but likely to disappoint.

Source: the rules of Seedance 1.x as its provider documents them (2026). The jobs API passes its fields on to these
models and states no rules of its own, so nothing here is a mistake: the provider decides, and a refused job costs
nothing.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from framerelay.config.urls import host_of
from framerelay.network.policy import HOW_TO_TRUST, TrustedHosts, check_in_advance
from framerelay.runs.costs import Estimate, together
from framerelay.runs.errors import AddressForbidden
from framerelay.runs.model import Shot
from framerelay.runs.text import amount_words
from framerelay.storyboards.choices import CHOICE_KEYS
from framerelay.storyboards.documents import Path, line_at, place_of
from framerelay.storyboards.parts import is_web_address
from framerelay.storyboards.storyboard import Storyboard

CHAIN_MAX: Final = 4  # People who make chained films report that faces and colors drift visibly from the fifth shot on.
FLEX_S: Final = 172_800
EXPIRY_S: Final = (3600, 259_200)
_DURATIONS_S: Final = ((re.compile(r"seedance-1[.-]5"), 4, 12), (re.compile(r"seedance-1[.-]0"), 2, 12))
_NAMED_MAX: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """One warning. ``place`` · ``line``: where it can be fixed, in the form of mistakes; ``message`` says how."""

    code: str
    place: str
    line: int | None
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}, " if self.line else ""
        return f"{where}{self.place}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Shots with those that begin from them; ``links``: shots since the last picture that a person gave."""

    model: str
    by_id: Mapping[str, Shot]
    dependents: Mapping[str, list[str]]
    links: Mapping[str, int]


CautionSite = tuple[str, tuple[str, ...], str]
"""A code, the keys that can be to blame (the first one that is written gives the place), and what to do."""


CautionCheck = Callable[[Shot, Story], Iterator[CautionSite]]


def cautions_of(
    board: Storyboard, *, jobs: int, trusted_hosts: TrustedHosts | None = None, more: Sequence[CautionCheck] = ()
) -> tuple[Caution, ...]:
    """
    Every warning about *board*, which leads to that many *jobs*; one that several shots share is given once.

    *more*: checks by the makers of the clips. *trusted_hosts*: those that a receiver with the current settings would
    notify although they are not public.
    """
    story = _story_of(board)
    shots: dict[tuple[str, Path, str], list[str]] = {}
    for shot, path in zip(board.shots, _paths(board.document), strict=True):
        for check in (*CHECKS, *more):
            for code, keys, message in check(shot, story):
                shots.setdefault((code, _find_place(board.document, path, keys), message), []).append(shot.id)
    sites = [(code, path, f"{message} ({_list_ids(ids)})") for (code, path, message), ids in shots.items()]
    if board.budget_jobs is not None and board.budget_jobs < jobs:
        sites.insert(0, _small_budget(board.budget_jobs, jobs))
    cost = together((shot.estimate, shot.takes_wanted) for shot in board.shots)
    if board.budget_money is not None and cost and cost.high > board.budget_money:
        sites.append(_little_money(board.budget_money, cost))
    sites += _refused_notices(board, trusted_hosts)
    cautions = [
        Caution(code=code, place=place_of(path), line=line_at(board.spot, path), message=message)
        for code, path, message in sites
    ]
    return tuple(sorted(cautions, key=lambda caution: caution.line or 0))


def _story_of(board: Storyboard) -> Story:
    by_id = {shot.id: shot for shot in board.shots}
    dependents: dict[str, list[str]] = {}
    links: dict[str, int] = {}
    for shot in board.shots:
        source = by_id.get(shot.source or "")
        anchored = source is None or source.last_frame is not None
        links[shot.id] = 1 if source is None or anchored else links[source.id] + 1
        if source:
            dependents.setdefault(source.id, []).append(shot.id)
    return Story(model=board.model.lower(), by_id=by_id, dependents=dependents, links=links)


def _paths(document: Mapping[str, Any]) -> Iterator[Path]:
    """Where each shot of a checked document is, in story order."""
    if "scenes" in document:
        for index, scene in enumerate(document["scenes"]):
            yield from (("scenes", index, "shots", place) for place in range(len(scene["shots"])))
    else:
        yield from (("shots", place) for place in range(len(document["shots"])))


def _find_place(document: Mapping[str, Any], path: Path, keys: tuple[str, ...]) -> Path:
    """The first of *keys* in the shot at *path*, or else in `defaults` or at the top; otherwise the shot itself."""
    shot: Any = document
    for step in path:
        shot = shot[step]
    for key in keys:
        if key in shot:
            return (*path, key)
        if key in document.get("defaults", {}):
            return ("defaults", key)
        if key in document and key in (*CHOICE_KEYS, "service_tier"):
            return (key,)
    return path


def _list_ids(ids: list[str]) -> str:
    more = len(ids) - _NAMED_MAX
    return f"{', '.join(ids[:_NAMED_MAX])} and {more} more" if more > 1 else ", ".join(ids)


# --- the checks --------------------------------------------------------------------------------------------------


def _small_budget(budget: int, jobs: int) -> tuple[str, Path, str]:
    message = f"the film needs {jobs} jobs if nothing fails, the run stops after {budget}: raise it to {jobs} or more"
    return "budget_too_small", ("budget", "jobs"), message


def _little_money(budget: float, cost: Estimate) -> tuple[str, Path, str]:
    needs, has = (amount_words(amount, cost.currency) for amount in (cost.high, budget))
    message = f"the film may cost {needs} if nothing fails, the run stops where a take no longer fits into {has}"
    return "budget_too_small", ("budget", "money"), message


def _refused_notices(board: Storyboard, trusted_hosts: TrustedHosts | None) -> Iterator[tuple[str, Path, str]]:
    """A receiver elsewhere may trust other hosts; so it is not a mistake here."""
    if board.notify_url is None or trusted_hosts is None:
        return
    try:
        check_in_advance(board.notify_url, trusted_hosts)
    except AddressForbidden as error:
        message = f"the run would be refused, since nothing can be sent there: {error.message}; {HOW_TO_TRUST}"
        yield "notify_url_refused", ("notify_url",), message


def _watermark(shot: Shot, story: Story) -> Iterator[CautionSite]:
    """The provider's own last frame has none; ours is taken from the clip."""
    ours = not shot.input.get("return_last_frame") or shot.input.get("draft")
    if shot.input.get("watermark") and story.dependents.get(shot.id) and ours:
        message = (
            "the watermark would be handed on and rendered into the next shot: leave it out, or add "
            "return_last_frame: true, since the provider's own last frame has none"
        )
        yield "watermark_handed_on", ("watermark",), message


def _long_chain(shot: Shot, story: Story) -> Iterator[CautionSite]:
    if story.links[shot.id] == CHAIN_MAX + 1:
        message = (
            f"more than {CHAIN_MAX} shots in a row, each made from the last frame of the one before: faces and colors "
            "drift; anchor it again by a bridge, by from: cut with a first_frame, or from an earlier shot"
        )
        yield "long_chain", ("from",), message


def _changes(shot: Shot, story: Story) -> Iterator[CautionSite]:
    source = story.by_id.get(shot.source or "")
    if source is None:
        return
    own, other = _ratio(shot), _ratio(source)
    if own and other and own != other and "adaptive" not in (own, other):
        message = f"it begins with a frame of {other} and asks for {own}: providers cut the middle out of the picture"
        yield "ratio_changes", ("ratio", "aspect_ratio"), message
    size, before = shot.input.get("resolution"), source.input.get("resolution")
    if size and before and size != before:
        message = f"it begins with a frame of {before} and asks for {size}: the seam shows, the film is encoded again"
        yield "resolution_changes", ("resolution",), message


def _references(shot: Shot, _: Story) -> Iterator[CautionSite]:
    keys = [key for key in ("reference_image_urls", "reference_video_urls") if shot.input.get(key)]
    if keys and (shot.source or shot.first_frame):
        message = (
            f"a model takes a first frame or references, not both, and refuses the job: write {keys[0]}: [] in this "
            "shot, or begin it without a frame (from: cut)"
        )
        yield "frame_beside_references", tuple(keys), message


def _draft(shot: Shot, _: Story) -> Iterator[CautionSite]:
    if not shot.input.get("draft"):
        return
    if shot.input.get("return_last_frame"):
        message = "a provider sends no last frame of a draft and may refuse the job: leave this out, we take it"
        yield "draft_last_frame", ("return_last_frame",), message
    if shot.input.get("resolution") not in (None, "480p"):
        yield "draft_resolution", ("resolution",), "a draft is 480p only: write resolution: 480p, or leave draft out"
    if shot.input.get("service_tier") == "flex":
        yield "draft_tier", ("service_tier",), "a draft is not made in the flex tier: leave one of the two out"


def _tier(shot: Shot, _: Story) -> Iterator[CautionSite]:
    expires_s = shot.input.get("execution_expires_after")
    if shot.input.get("service_tier") == "flex" and isinstance(expires_s, int) and expires_s < FLEX_S:
        message = "a job of the flex tier may wait for two days, and would expire before: leave this out"
        yield "flex_expires", ("execution_expires_after",), message


def _gate(shot: Shot, _: Story) -> Iterator[CautionSite]:
    if shot.gated and shot.source is None:
        message = (
            "nothing leads to this gate: the shot waits from the start, and there is no frame to look at before you "
            "approve it; put it on a shot that continues from another, or leave it out"
        )
        yield "gate_without_frame", ("gate",), message


def _lengths(shot: Shot, story: Story) -> Iterator[CautionSite]:
    duration = shot.input.get("duration")
    limits = next(((least, most) for model, least, most in _DURATIONS_S if model.search(story.model)), None)
    if limits and isinstance(duration, int | float) and duration != -1:
        least, most = limits
        if duration != int(duration) or not least <= duration <= most:
            message = f"this model makes clips of whole seconds, {least} to {most}: the job may be refused"
            yield "duration_out_of_range", ("duration",), message
    if "frames" in shot.input and duration is not None:
        message = "duration says the length, too; models take one of them, most of them duration: leave frames out"
        yield "frames_beside_duration", ("frames",), message


def _two_ratios(shot: Shot, _: Story) -> Iterator[CautionSite]:
    one, other = shot.input.get("ratio"), shot.input.get("aspect_ratio")
    if one and other and one != other:
        message = f"ratio says {one} and aspect_ratio {other}, two names for one thing: keep one of them"
        yield "two_ratios", ("aspect_ratio",), message


def _expiry(shot: Shot, _: Story) -> Iterator[CautionSite]:
    least, most = EXPIRY_S
    expiry = shot.input.get("execution_expires_after")
    if expiry is not None and not least <= expiry <= most:
        message = f"models want {least} to {most} seconds, and may refuse the job: leave it out for the usual two days"
        yield "expiry_out_of_range", ("execution_expires_after",), message


def _addresses(shot: Shot, _: Story) -> Iterator[CautionSite]:
    """Addresses that the provider is to fetch, it fetches from its own network."""
    for key, frame in (("first_frame", shot.first_frame), ("last_frame", shot.last_frame)):
        if frame and _is_private(frame):
            yield "address_not_public", (key, f"{key}_url"), _NOT_PUBLIC
    for key in ("reference_image_urls", "reference_video_urls"):
        if any(_is_private(url) for url in shot.input.get(key) or ()):
            yield "address_not_public", (key,), _NOT_PUBLIC


_NOT_PUBLIC: Final = (
    "the provider cannot fetch this address from where it is: give a file as a frame, or an address that all can reach"
)


def _is_private(url: str) -> bool:
    """Whether *url* names a host of a private network, as far as its name says so."""
    if not is_web_address(url):
        return False
    host = host_of(url)
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".lan"))


def _ratio(shot: Shot) -> str | None:
    ratio: str | None = shot.input.get("ratio") or shot.input.get("aspect_ratio")
    return ratio


CHECKS: Final[tuple[CautionCheck, ...]] = (
    _watermark,
    _long_chain,
    _changes,
    _references,
    _draft,
    _tier,
    _gate,
    _lengths,
    _two_ratios,
    _expiry,
    _addresses,
)
