"""
What a provider or model cannot do, as warnings in a plan: before money is spent, and never as a refusal.

Tables of models age within weeks, so a table here is only trusted for a warning; what the provider makes of a request
is up to the provider, and a refused job costs nothing.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from framerelay.runs.model import Shot
from framerelay.runs.text import join_names
from framerelay.storyboards.cautions import CautionCheck, CautionSite, Story
from framerelay.storyboards.inputs import REFERENCE_FILES
from framerelay.storyboards.storyboard import Storyboard
from framerelay.upstream.order import WORD_OF_FIELD, is_sent, model_of, why_not_these_frames
from framerelay.upstream.picture_check import GivenPicture, broken_limits, made_picture, picture_of_data
from framerelay.upstream.pictures import takes_addresses
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_file import DEFAULT
from framerelay.upstream.profile_models import Durations, Model
from framerelay.upstream.providers import Provider, Providers, keyless_words
from framerelay.upstream.quotes import FREE_WORDS, order_of, provider_of
from framerelay.upstream.template import words_in

FRAMES: Final = ("first_frame", "last_frame")
_NONE_KNOWN: Final[Mapping[str, GivenPicture]] = MappingProxyType({})


def ability_checks(
    board: Storyboard, providers: Providers, pictures: Mapping[str, GivenPicture] = _NONE_KNOWN
) -> tuple[CautionCheck, ...]:
    """
    One check for all shots of *board*, by who makes each; *pictures*: those that were given, by the names used there.

    Raises: StoryboardInvalid as `quotes.provider_of`.
    """
    makers = {shot.id: provider_of(board, shot, providers) for shot in board.shots}

    def check(shot: Shot, story: Story) -> Iterator[CautionSite]:
        provider, name = makers[shot.id], shot.model or board.model
        profile, model = provider.profile, model_of(makers[shot.id].profile, name)
        is_named = shot.provider or board.provider or providers.default != DEFAULT
        yield from _key(provider) if is_named else ()
        yield from _callbacks(provider)
        yield from _model(profile, name)
        yield from _frames(shot, profile, model, name)
        yield from _kinds(shot, profile, model, name)
        yield from _values(shot, model, name)
        yield from _fields(shot, provider, name, story)
        yield from _price(shot, provider, name)
        yield from _pictures(shot, provider, pictures)
        yield from _handed_on(shot, provider, story)

    return (check,)


def _key(provider: Provider) -> Iterator[CautionSite]:
    if provider.key is None:
        yield "provider_without_key", ("provider",), keyless_words(provider)


def _callbacks(provider: Provider) -> Iterator[CautionSite]:
    if not provider.calls_back:
        every_s = provider.profile.poll.every_s
        message = f"{provider.name} cannot call back: its jobs are looked up, first every {every_s:g} s"
        yield "provider_is_polled", ("provider",), message


def _model(profile: Profile, name: str) -> Iterator[CautionSite]:
    if profile.models and name not in profile.models:
        facts = f"the facts are of {profile.checked}" if profile.checked else "its facts have no date"
        message = f"the profile {profile.id} knows no model {name} ({facts}): it is asked for as it stands here"
        yield "model_unknown", ("model", "provider"), message


def _frames(shot: Shot, profile: Profile, model: Model, name: str) -> Iterator[CautionSite]:
    first, last = shot.source is not None or shot.first_frame is not None, shot.last_frame is not None
    if model.frames is not None:
        if first and "first" not in model.frames:
            yield "frame_not_taken", ("first_frame", "from"), f"{name} takes no first frame: it would not be a hand-off"
        if last and "last" not in model.frames:
            yield "frame_not_taken", ("last_frame",), f"{name} takes no last frame: leave it out, or use another model"
    for frame in model.needs or ():
        if not (first if frame == "first" else last):
            yield "frame_needed", (f"{frame}_frame",), f"{name} makes nothing without a {frame} frame: give one"
    for word, value in model.last_frame_needs.items():
        if last and str(shot.input.get(word, "")).lower() != str(value).lower():
            yield "last_frame_needs", (word,), f"{name} ends on a given frame only with {word}: {value}"
    frames = [frame for frame in (shot.first_frame, shot.last_frame) if frame]
    if not takes_addresses(profile) and any(frame.startswith(("http://", "https://")) for frame in frames):
        message = f"{profile.id} takes no addresses of pictures: give the picture as a file, or the shot cannot be made"
        yield "address_not_taken", ("first_frame", "first_frame_url", "last_frame", "last_frame_url"), message


def _kinds(shot: Shot, profile: Profile, model: Model, name: str) -> Iterator[CautionSite]:
    """Combinations for which the profile has no address, whatever the model: the submit would be refused here."""
    words = why_not_these_frames(profile, order_of(name, shot))
    if words and not model.needs:
        yield "frame_needed", ("first_frame",), f"{words}: give a picture, or use another provider for it"


def _values(shot: Shot, model: Model, name: str) -> Iterator[CautionSite]:
    fields, ratio = shot.input, shot.input.get("ratio") or shot.input.get("aspect_ratio")
    if not _fits(fields.get("duration"), model.durations):
        yield "duration_out_of_range", ("duration",), f"{name} makes clips of {_lengths(model.durations)} seconds"
    if not _is_among(fields.get("resolution"), model.resolutions):
        yield "resolution_unknown", ("resolution",), f"{name} makes {_word_list(model.resolutions)}, as far as is known"
    if not _is_among(ratio, model.ratios):
        yield "ratio_unknown", ("ratio", "aspect_ratio"), f"{name} takes {_word_list(model.ratios)}, as far as is known"
    if not _is_among(fields.get("service_tier"), model.tiers):
        message = f"{name} takes {_word_list(model.tiers)}, as far as is known: the job may be refused, or cost as ever"
        yield "tier_unknown", ("service_tier",), message
    if model.audio == "none" and fields.get("generate_audio"):
        yield "audio_not_made", ("generate_audio",), f"{name} makes no sound: leave this out"
    if model.audio == "always" and fields.get("generate_audio") is False:
        yield "audio_always_made", ("generate_audio",), f"{name} always makes sound: this changes nothing"
    if model.prompt_max is not None and len(str(fields.get("prompt") or "")) > model.prompt_max:
        message = f"{name} takes prompts of {model.prompt_max} characters: style included, this one is longer"
        yield "prompt_too_long", ("prompt",), message


def _fields(shot: Shot, provider: Provider, name: str, story: Story) -> Iterator[CautionSite]:
    """Fields that are not sent, for lack of a place or because of another one; and mutually exclusive ones."""
    create = provider.profile.create
    words = {*words_in(create.body), *words_in(dict(create.query))}
    if "input" in words:
        return
    order = order_of(name, shot)
    for field, word in WORD_OF_FIELD.items():
        if shot.input.get(field) in (None, []) or is_sent(provider.profile, order, field):
            continue
        if word not in words:
            message = f"{provider.name} has no field for this, so it is not sent: raw fields of its own go under extra"
            yield "field_not_sent", (field,), message
        elif not _is_as_asked(shot, field, model_of(provider.profile, name), story):
            why = "since it has no such field: leave it out"
            if word == "ratio" and order.first_frame:
                why = "beside a first frame: the clip has the ratio of the picture"
            yield "field_not_sent", (field,), f"{name} at {provider.name} is not sent this, {why}"
    frames = {"first_frame": shot.source or shot.first_frame, "last_frame": shot.last_frame}
    fields = {word: shot.input.get(field) for field, word in WORD_OF_FIELD.items()}
    words_used = {word for word, value in {**fields, **frames}.items() if value}
    for one, other in (pair for pair in create.exclusive if len(pair) == 2 and set(pair) <= words_used):
        yield "fields_exclude", (one, other), f"{provider.name} takes {one} or {other}, not both: it may refuse the job"


def _price(shot: Shot, provider: Provider, name: str) -> Iterator[CautionSite]:
    """What may make a clip cost more than its price says."""
    parts = shot.estimate.unpriced if shot.estimate else ()
    if parts:
        fields = [REFERENCE_FILES.get(each, each) for each in parts]
        message = (
            f"what {join_names(parts, 'and')} {'adds' if len(parts) == 1 else 'add'} to the price of {name} at "
            f"{provider.name} is not known: it may cost more, and a budget of money is refused with it; {FREE_WORDS}"
        )
        yield "price_open", (*fields, *parts, "extra"), message


def _is_as_asked(shot: Shot, field: str, model: Model, story: Story) -> bool:
    """Whether the clip matches *field* without being told, or another warning says that it does not."""
    value = shot.input.get(field)
    if field == "generate_audio":
        return model.audio in ("none", "always")  # If that does not match the request, a check above says so.
    if WORD_OF_FIELD[field] != "ratio" or value == "adaptive":
        return value == "adaptive"
    source = story.by_id.get(shot.source or "")
    return source is not None and bool(source.input.get("ratio") or source.input.get("aspect_ratio"))


def _pictures(shot: Shot, provider: Provider, pictures: Mapping[str, GivenPicture]) -> Iterator[CautionSite]:
    """Pictures that a person gave, each checked against what the provider takes."""
    limits = provider.profile.media.image
    if limits is None:
        return
    uses = [(each, (frame, f"{frame}_url")) for frame in FRAMES if (each := getattr(shot, frame))]
    for key, field in REFERENCE_FILES.items():
        uses += [(each, (key, field)) for each in shot.input.get(field) or ()]
    for address, keys in uses:
        picture = pictures.get(address) or picture_of_data(address)
        for code, message in broken_limits(picture, limits, provider.name) if picture else ():
            yield code, keys, f"{message}: give another one"


def _handed_on(shot: Shot, provider: Provider, story: Story) -> Iterator[CautionSite]:
    """The last frame of the shot before, if its size is certain: its own resolution, and the ratio of its chain."""
    source, limits = story.by_id.get(shot.source or ""), provider.profile.media.image
    if source is None or limits is None:
        return
    first = source
    while first.source is not None and first.first_frame is None:
        first = story.by_id[first.source]
    ratio = first.input.get("ratio") or first.input.get("aspect_ratio")
    about = f"the last frame of {source.id}"
    picture = made_picture(source.input, None if first.first_frame else ratio, about)
    for code, message in broken_limits(picture, limits, provider.name, is_exact=False) if picture else ():
        yield code, ("from", "provider"), f"{message}: another ratio or resolution there, or from: cut"


def _fits(seconds: object, durations: list[float] | Durations | None) -> bool:
    if durations is None or not isinstance(seconds, int | float):
        return True
    if isinstance(durations, Durations):
        is_auto = durations.auto is not None and str(seconds) == str(durations.auto)
        return is_auto or durations.min <= seconds <= durations.max
    return seconds in durations


def _lengths(durations: list[float] | Durations | None) -> str:
    if isinstance(durations, Durations):
        return f"{durations.min:g} to {durations.max:g}"
    return " or ".join(f"{each:g}" for each in durations or ())


def _is_among(value: object, words: list[str] | None) -> bool:
    return value is None or words is None or str(value).lower() in {each.lower() for each in words}


def _word_list(words: list[str] | None) -> str:
    return ", ".join(words or ())
