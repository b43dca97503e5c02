"""What a provider or model cannot do is reported before money is spent, at its place, and refuses nothing."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from framerelay.storyboards.inputs import PLAIN_FIELDS
from framerelay.storyboards.plan import plan_of
from framerelay.storyboards.storyboard import read_storyboard
from framerelay.upstream.abilities import ability_checks
from framerelay.upstream.order import WORD_OF_FIELD, Order, body_of
from framerelay.upstream.picture_check import GivenPicture, picture_at
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_file import load_shipped, profile_names
from framerelay.upstream.providers import Providers
from framerelay.upstream.quotes import with_estimates

SECRETS = {
    "ARK_API_KEY": "sk",
    "KLING_API_KEY": "sk",
    "RUNWAYML_API_SECRET": "sk",
    "GEMINI_API_KEY": "sk",
    "FAL_KEY": "sk",
}


def warnings(
    *shots: dict[str, Any],
    environ: dict[str, str] | None = None,
    pictures: dict[str, GivenPicture] | None = None,
    default: str = "jobs",
    **top: Any,
) -> list[tuple[str, str]]:
    """Code and place of each warning that the checks of the providers add."""
    document = {"model": "kling-3.0", "provider": "kling", **top, "shots": list(shots)}
    text = json.dumps({key: value for key, value in document.items() if value is not None})
    providers = Providers(default=default, entries={}, environ=SECRETS if environ is None else environ)
    board = with_estimates(read_storyboard(text, form="json"), providers)
    before = {caution.message for caution in plan_of(board).cautions}
    plan = plan_of(board, more=ability_checks(board, providers, pictures or {}))
    return [(each.code, each.place) for each in plan.cautions if each.message not in before]


@pytest.mark.parametrize(
    ("shot", "top", "expected"),
    [
        ({"duration": 5, "resolution": "720p"}, {}, []),
        ({"duration": 16}, {}, [("duration_out_of_range", "shots[0].duration")]),
        ({"resolution": "480p"}, {}, [("resolution_unknown", "shots[0].resolution")]),
        ({"seed": 7}, {}, [("field_not_sent", "shots[0].seed")]),
        ({"camera_fixed": True}, {}, [("field_not_sent", "shots[0].camera_fixed")]),
        ({"prompt": "x" * 3073}, {}, [("prompt_too_long", "shots[0].prompt")]),
        ({}, {"model": "kling-9"}, [("model_unknown", "model")]),
        (
            {},
            {"provider": "kling-legacy", "model": "kling-v9"},
            [("model_unknown", "model"), ("frame_needed", "shots[0]")],
        ),
        ({"duration": 5, "extra": {"n": 2}}, {}, [("price_open", "shots[0].extra")]),
        ({"duration": 5, "extra": {"settings": {"duration": 6}}}, {}, []),
        ({"duration": 6}, {"model": "kling-2.5-turbo"}, [("duration_out_of_range", "shots[0].duration")]),
        ({"generate_audio": True}, {"model": "kling-2.5-turbo"}, [("audio_not_made", "shots[0].generate_audio")]),
        ({"generate_audio": False}, {"model": "kling-3.0-turbo"}, [("audio_always_made", "shots[0].generate_audio")]),
        (
            {"first_frame": "https://x.example/a.png", "last_frame": "https://x.example/b.png"},
            {"model": "kling-3.0-turbo"},
            [("frame_not_taken", "shots[0].last_frame")],
        ),
        (
            {
                "first_frame": "https://x.example/a.png",
                "last_frame": "https://x.example/b.png",
                "resolution": "720p",
            },
            {"model": "kling-2.5-turbo"},
            [("last_frame_needs", "shots[0].resolution")],
        ),
        (
            {"first_frame": "https://x.example/a.png"},
            {"provider": "veo", "model": "veo-3.1-generate-preview"},
            [("provider_is_polled", "provider"), ("address_not_taken", "shots[0].first_frame")],
        ),
        ({}, {"provider": "ark", "model": "doubao-seedance-1-5-pro-251215", "service_tier": "flex"}, []),
        (
            {},
            {"provider": "ark", "model": "doubao-seedance-2-0-260128", "service_tier": "flex"},
            [("tier_unknown", "service_tier")],
        ),
        ({}, {"service_tier": "flex"}, [("field_not_sent", "service_tier")]),
        (
            {},
            {"provider": "fal", "model": "bytedance/seedance-2.0/image-to-video"},
            [("frame_needed", "shots[0]")],
        ),
    ],
)
def test_what_cannot_be_done_is_reported_with_its_place(shot: Any, top: Any, expected: Any) -> None:
    """One warning for each, nothing for what fits."""
    assert warnings({"prompt": "a car", **shot}, **top) == expected


def test_a_provider_without_a_key_is_named_once_for_all_its_shots() -> None:
    """At the place that names it; the same for that of the settings, unless nobody has chosen one."""
    assert warnings({"prompt": "a"}, {"prompt": "b"}, environ={}) == [("provider_without_key", "provider")]
    assert warnings({"prompt": "a"}, environ={}, provider=None, model="m") == []
    warnings_there = warnings({"prompt": "a"}, environ={}, provider=None, default="kling")
    assert warnings_there == [("provider_without_key", "shots[0]")]


def test_every_field_of_a_storyboard_has_its_word() -> None:
    """A new field is either sent, or said not to be."""
    assert set(WORD_OF_FIELD) == set(PLAIN_FIELDS)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif", "bmp"])
def test_a_picture_is_known_by_the_beginning_of_its_file(tmp_path: Path, kind: str) -> None:
    """Its kind, bytes and pixels, as Pillow wrote them; nothing of it is decoded."""
    path = tmp_path / "picture"
    Image.effect_noise((437, 211), 80).convert("RGB").save(path, kind)

    expected = GivenPicture(kind=kind, size_bytes=path.stat().st_size, width=437, height=211)
    assert picture_at(path) == expected


def test_what_is_cut_off_or_no_picture_has_no_size(tmp_path: Path) -> None:
    """Whatever the bytes are: a warning less, and no trouble."""
    for kind in ("png", "jpeg", "webp", "gif", "bmp", "tiff"):
        path = tmp_path / f"picture.{kind}"
        Image.new("RGB", (64, 64)).save(path, kind)
        whole = path.read_bytes()
        for end in range(0, min(len(whole), 700)):
            path.write_bytes(whole[:end])
            picture = picture_at(path)
            assert picture is None or (picture.width, picture.height) in {(64, 64), (None, None)}
    path.write_bytes(b"\x00\x00\x00 ftypisom")
    assert picture_at(path) is None


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (GivenPicture(kind="jpeg", size_bytes=49_000_000, width=1280, height=720), []),
        (GivenPicture(kind="jpeg", size_bytes=51_000_000, width=1280, height=720), ["picture_too_large"]),
        (GivenPicture(kind="png", size_bytes=9, width=299, height=299), ["picture_size"]),
        (GivenPicture(kind="png", size_bytes=9, width=2501, height=1000), ["picture_ratio"]),
        (GivenPicture(kind="png", size_bytes=9, width=390, height=1000), ["picture_ratio"]),
        (GivenPicture(kind="gif", size_bytes=9), ["picture_type"]),
    ],
)
def test_a_given_picture_is_checked_against_the_limits_of_its_provider(
    picture: GivenPicture, expected: list[str]
) -> None:
    """kling: 50 MB, sides of 300 pixels, 0.4 to 2.5 times as wide as high, JPEG or PNG; fal says none."""
    pictures, shot = {"file:given/a.png": picture}, {"prompt": "a", "first_frame": "file:given/a.png"}

    assert warnings(shot, pictures=pictures) == [(code, "shots[0].first_frame") for code in expected]
    assert warnings(shot, pictures=pictures, provider="fal", model="x/y") == [("model_unknown", "model")]


def test_a_picture_in_the_storyboard_itself_is_looked_at_as_well(tmp_path: Path) -> None:
    """A data URI is one that was given."""
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    text = base64.b64encode((tmp_path / "a.png").read_bytes()).decode()

    shot = {"prompt": "a", "first_frame": f"data:image/png;base64,{text}"}
    assert warnings(shot) == [("picture_size", "shots[0].first_frame")]


def test_a_last_frame_that_does_not_fit_is_reported_where_its_size_is_certain() -> None:
    """By the resolution of its shot and the ratio of its chain; where either is open, nothing is reported."""
    kling = {"prompt": "b", "provider": "kling", "model": "kling-3.0"}

    def warnings_of(**first: Any) -> list[tuple[str, str]]:
        return warnings({"prompt": "a", **first}, kling, provider=None, model="m")

    certain = {"ratio": "32:9", "resolution": "720p"}

    assert warnings_of(**certain) == [("picture_ratio", "shots[1].provider")]
    assert warnings_of(ratio="21:9", resolution="720p") == warnings_of(ratio="adaptive", resolution="720p") == []
    assert warnings_of(resolution="720p") == warnings_of(ratio="32:9") == []
    assert warnings_of(**certain, first_frame="https://x.example/a.png") == []


VALUES: dict[str, list[Any]] = {
    "duration": [5, 6, 10],
    "resolution": ["480p", "720p", "1080p", "4k"],
    "ratio": ["16:9", "9:16", "1:1", "21:9", "adaptive"],
    "aspect_ratio": ["9:16"],
    "seed": [7],
    "generate_audio": [True, False],
    "watermark": [True, False],
    "return_last_frame": [True],
    "frames": [57],
    "camera_fixed": [True],
    "service_tier": ["flex"],
    "execution_expires_after": [7200],
    "draft": [True],
    "reference_image_urls": [["https://x.example/a.png"]],
    "reference_video_urls": [["https://x.example/a.mp4"]],
}
PICTURE = "https://x.example/f.png"


def test_the_values_are_of_all_fields() -> None:
    """Otherwise the next test would prove less than it says."""
    assert set(VALUES) == set(WORD_OF_FIELD)


@pytest.mark.parametrize("name", profile_names())
@pytest.mark.parametrize("picture", [None, PICTURE])
def test_each_word_is_in_the_request_or_warned_about(name: str, picture: str | None) -> None:
    """For each shipped profile and model, and one that nobody has heard of: nothing is left out in silence."""
    profile = load_shipped(name)
    fields = {"first_frame": picture} if picture else {}
    silent = []
    for model in (*profile.models, "unheard-of"):
        for field, value in ((field, value) for field, values in VALUES.items() for value in values):
            order = Order(model=model, input={"prompt": "a", field: value}, take="t", first_frame=picture)
            bare = replace(order, input={"prompt": "a"})
            if body_of(profile, order) != body_of(profile, bare) or is_as_ever(profile, model, field, value):
                continue
            warnings_there = warnings({"prompt": "a", field: value, **fields}, provider=name, model=model)
            if f"shots[0].{field}" not in [place for _, place in warnings_there]:
                silent.append((model, field, value))
    assert silent == []


def is_as_ever(profile: Profile, model: str, field: str, value: object) -> bool:
    """What the clip has anyway need not be sent."""
    audio = profile.models[model].audio if model in profile.models else None
    return value == "adaptive" or (field == "generate_audio" and audio == ("always" if value else "none"))


def test_a_ratio_that_the_first_frame_gives_is_not_warned_about_twice() -> None:
    """Where the shot before has one, it is handed on with its frame; another one is reported as a change."""
    first = {"prompt": "a", "ratio": "16:9"}
    assert warnings(first, {"prompt": "b", "ratio": "16:9"}) == []
    assert warnings({"prompt": "a"}, {"prompt": "b", "ratio": "16:9"}) == [("field_not_sent", "shots[1].ratio")]
