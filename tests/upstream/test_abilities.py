"""What a provider or model cannot do is said before money, at its place, and refuses nothing."""

import json
from typing import Any

import pytest

from framerelay.storyboards.inputs import PLAIN_FIELDS
from framerelay.storyboards.plan import plan_of
from framerelay.storyboards.storyboard import read_storyboard
from framerelay.upstream.abilities import WORD_OF_FIELD, ability_checks
from framerelay.upstream.providers import Providers
from framerelay.upstream.quotes import priced

SECRETS = {"KLING_API_KEY": "sk", "RUNWAYML_API_SECRET": "sk", "GEMINI_API_KEY": "sk", "FAL_KEY": "sk"}


def warnings(*shots: dict[str, Any], environ: dict[str, str] | None = None, **top: Any) -> list[tuple[str, str]]:
    """Code and place of each warning that the checks of the providers add."""
    document = {"model": "kling-3.0", "provider": "kling", **top, "shots": list(shots)}
    text = json.dumps({key: value for key, value in document.items() if value is not None})
    providers = Providers(default="jobs", configured={}, environ=SECRETS if environ is None else environ)
    board = priced(read_storyboard(text, form="json"), providers)
    before = {caution.message for caution in plan_of(board).cautions}
    plan = plan_of(board, more=ability_checks(board, providers))
    return [(each.code, each.place) for each in plan.cautions if each.message not in before]


@pytest.mark.parametrize(
    ("shot", "top", "said"),
    [
        ({"duration": 5, "resolution": "720p"}, {}, []),
        ({"duration": 16}, {}, [("duration_out_of_range", "shots[0].duration")]),
        ({"resolution": "480p"}, {}, [("resolution_unknown", "shots[0].resolution")]),
        ({"seed": 7}, {}, [("field_not_sent", "shots[0].seed")]),
        ({"camera_fixed": True}, {}, [("field_not_sent", "shots[0].camera_fixed")]),
        ({"prompt": "x" * 3073}, {}, [("prompt_too_long", "shots[0].prompt")]),
        ({}, {"model": "kling-9"}, [("model_unknown", "model")]),
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
        (
            {},
            {"provider": "fal", "model": "bytedance/seedance-2.0/image-to-video"},
            [("frame_needed", "shots[0]")],
        ),
    ],
)
def test_what_cannot_be_done_is_said_with_its_place(shot: Any, top: Any, said: Any) -> None:
    """One warning for each, nothing for what fits."""
    assert warnings({"prompt": "a car", **shot}, **top) == said


def test_a_provider_without_a_key_is_named_once_for_all_its_shots() -> None:
    """At the place that names it; the provider of the settings is not asked for here."""
    assert warnings({"prompt": "a"}, {"prompt": "b"}, environ={}) == [("provider_without_key", "provider")]
    assert warnings({"prompt": "a"}, environ={}, provider=None, model="m") == []


def test_every_field_of_a_storyboard_has_its_word() -> None:
    """A new field is either sent, or said not to be."""
    assert set(WORD_OF_FIELD) == set(PLAIN_FIELDS)
