"""What a request asks for is read back from it: whatever a raw field says in the provider's own words counts."""

import itertools
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from framerelay.upstream.clip_terms import ClipTerms, clip_terms
from framerelay.upstream.order import Order, body_of
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_file import load_shipped, profile_names
from framerelay.upstream.profile_models import Model

SAID = {"prompt": "a", "duration": 5, "resolution": "720p", "generate_audio": False}


def terms(profile: Profile | str, model: str, extra: dict[str, Any] | None = None, **fields: Any) -> ClipTerms:
    """Of a shot that says `SAID` and *fields*."""
    one_profile = load_shipped(profile) if isinstance(profile, str) else profile
    order_fields = {name: value for name, value in {**SAID, **fields}.items() if value is not None}
    return clip_terms(one_profile, Order(model=model, input=order_fields, take="t", extra=extra or {}))


@pytest.mark.parametrize(
    ("profile", "model", "extra", "expected"),
    [
        ("jobs", "m", {}, {}),
        ("jobs", "m", {"input": {"duration": 12, "resolution": "1080p"}}, {"duration": 12, "resolution": "1080p"}),
        ("kling", "kling-3.0", {"settings": {"audio": "native"}}, {"generate_audio": True}),
        (
            "kling",
            "kling-3.0",
            {"settings": {"resolution": "4k", "duration": "15"}},
            {"resolution": "4k", "duration": "15"},
        ),
        ("kling-legacy", "kling-v2-6", {"mode": "pro", "duration": "10"}, {"resolution": "1080p", "duration": "10"}),
        ("luma-agents", "ray-3.2", {"video": {"duration": "10s"}}, {"duration": "10"}),
        ("ark", "doubao-seedance-2-5-260628", {"service_tier": "flex"}, {"service_tier": "flex"}),
        ("ark", "doubao-seedance-1-0-pro-250528", {"frames": 289}, {"frames": 289}),
        ("fal", "bytedance/seedance-2.0/image-to-video", {"duration": "auto"}, {"duration": "auto"}),
    ],
)
def test_a_raw_field_counts_by_what_it_means(
    profile: str, model: str, extra: dict[str, Any], expected: dict[str, Any]
) -> None:
    """In the words of the storyboard, whatever those of the provider are."""
    read = terms(profile, model, extra)
    assert {name: read.fields.get(name) for name in expected} == expected
    assert read.unpriced == ()


@pytest.mark.parametrize(
    ("profile", "model", "extra", "names"),
    [
        ("kling", "kling-3.0", {"settings": {"multi_shot": True}}, ("settings.multi_shot",)),
        ("kling", "kling-3.0", {"settings": {"multi_shot": False}}, ()),
        ("kling", "kling-3.0", {"n": 4}, ("n",)),
        ("kling", "kling-3.0", {"n": None}, ()),
        ("kling", "kling-3.0", {"options": {"watermark_info": {"enabled": False}}}, ()),
        ("kling", "kling-3.0", {"settings": {"resolution": {"w": 8000}}}, ("settings.resolution.w",)),
        ("kling", "kling-3.0", {"settings": "all"}, ("settings",)),
        ("kling", "kling-3.0", {"settings": {"duration": ["9"]}}, ("settings.duration",)),
        ("ark", "doubao-seedance-2-5-260628", {"seed": 4, "camera_fixed": True, "draft": True}, ()),
        ("ark", "doubao-seedance-2-5-260628", {"content": []}, ("content",)),
        ("luma-agents", "ray-3.2", {"video": {"duration": "long"}}, ("video.duration",)),
        ("jobs", "m", {"n": 2, "input": {"seed": 2}}, ("n",)),
    ],
)
def test_a_raw_field_that_the_profile_does_not_know_is_named(
    profile: str, model: str, extra: dict[str, Any], names: tuple[str, ...]
) -> None:
    """Or one that is known, and says what cannot be read; one that changes nothing does not count."""
    assert terms(profile, model, extra).unpriced == names


def test_what_is_put_out_is_open() -> None:
    """The provider's own default counts then, whatever that is, and not what the storyboard says."""
    read = terms("ark", "doubao-seedance-2-5-260628", {"resolution": None, "duration": None})
    assert read.fields == {"generate_audio": False}


def test_another_model_is_read_as_well() -> None:
    """Where it is in the body; a raw field that is not a name leaves it open."""
    assert terms("ark", "doubao-seedance-2-5-260628", {"model": "dearer"}).model == "dearer"
    assert terms("ark", "doubao-seedance-2-5-260628", {"model": {"id": 1}}).unpriced
    assert terms("kling", "kling-3.0", {"model": "dearer"}).unpriced == ("model",)


def test_what_a_model_does_not_have_is_open() -> None:
    """It is not sent, so it says nothing of the price."""
    assert "resolution" not in terms("fal", "fal-ai/kling-video/v2.5-turbo/pro/image-to-video").fields
    assert "resolution" not in terms("runway", "gen4.5").fields
    assert terms("runway", "gen4.5").fields == {"duration": 5, "generate_audio": False}


def test_reference_videos_count_where_they_are_sent() -> None:
    """Their seconds are billed, too."""
    videos = ["https://x.example/a.mp4"]
    ark = terms("ark", "doubao-seedance-2-0-260128", reference_video_urls=videos)
    assert ark.fields["reference_video_urls"] == videos
    assert "reference_video_urls" not in terms("kling", "kling-3.0", reference_video_urls=videos).fields


def with_body(body: Any, **model: Any) -> Profile:
    """A profile that makes requests of *body*."""
    profile = msgspec.structs.replace(load_shipped("kling"), models={"m": Model(**model)})
    return msgspec.structs.replace(profile, create=msgspec.structs.replace(profile.create, body=body, values={}))


def test_a_word_within_a_text_is_open_once_the_text_is_another() -> None:
    """`--dur 5` cannot be told from a prompt that somebody else wrote."""
    profile = with_body({"text": "{prompt} --dur {duration}", "size": "{resolution}"})
    assert terms(profile, "m").fields["duration"] == 5
    read = terms(profile, "m", {"text": "a --dur 12"})
    assert "duration" not in read.fields
    assert read.unpriced == ("text",)


def test_a_word_given_twice_is_known_only_if_both_say_the_same() -> None:
    """Nobody knows which one wins."""
    profile = with_body({"seconds": "{duration}", "length": "{duration}"})
    assert terms(profile, "m", {"seconds": 12}).fields.get("duration") is None
    assert terms(profile, "m", {"seconds": 12, "length": 12}).fields["duration"] == 12


def test_one_word_of_the_provider_for_two_sizes_says_neither() -> None:
    """Unless it is the storyboard's own."""
    profile = with_body({"mode": "{resolution}"}, values={"resolution": {"480p": "std", "720p": "std", "1080p": "pro"}})
    assert terms(profile, "m").fields["resolution"] == "720p"
    assert terms(profile, "m", {"mode": "pro"}).fields["resolution"] == "1080p"
    read = terms(profile, "m", {"mode": "std"}, resolution="1080p")
    assert (read.fields.get("resolution"), read.unpriced) == (None, ("mode",))


FIELDS = {"duration": [3, 5, 10], "resolution": ["480p", "720p", "1080p", "4k"], "generate_audio": [True, False]}


@pytest.mark.parametrize("name", profile_names())
def test_what_one_storyboard_says_in_our_words_another_can_say_in_raw_fields(name: str) -> None:
    """For each shipped profile and model: the whole body of one, given raw to another, is read as the first."""
    profile = load_shipped(name)
    for model in profile.models or {"m": None}:
        for values in itertools.product(*FIELDS.values()):
            fields = dict(zip(FIELDS, values, strict=True))
            dear = Order(model=model, input={"prompt": "a", **fields}, take="t")
            cheap = replace(dear, input={"prompt": "a", **SAID, "duration": 3})
            raw, body = body_of(profile, dear), body_of(profile, cheap)
            extra = {key: value for key, value in raw.items() if not isinstance(value, list)} if body else {}
            read, truth = clip_terms(profile, replace(cheap, extra=extra)), clip_terms(profile, dear)
            for field, value in truth.fields.items():
                assert str(read.fields.get(field, value)) == str(value), (model, field, extra)
                if field not in read.fields:
                    assert read.unpriced, (model, field, extra)
