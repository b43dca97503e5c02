"""A storyboard as a draft: small by what its provider says, with what the final has otherwise kept beside it."""

from typing import Any

import pytest

from framerelay.runs.costs import Estimate
from framerelay.runs.errors import StoryboardInvalid
from framerelay.runs.model import Shot
from framerelay.storyboards.storyboard import Storyboard, check_storyboard
from framerelay.upstream.drafts import draft_of
from framerelay.upstream.profile_models import Model
from framerelay.upstream.providers import Providers
from framerelay.upstream.quotes import with_estimates


def board(shot: dict[str, Any], **top: Any) -> Storyboard:
    return check_storyboard({"model": "m", "pass": "draft", "shots": [{"prompt": "x", **shot}], **top})


def small(shot: dict[str, Any], model: Model | None = None, **top: Any) -> Shot:
    storyboard = board(shot, **top)
    return draft_of(storyboard, storyboard.shots[0], model or Model())


@pytest.mark.parametrize(
    ("shot", "model", "draft", "made_of", "final"),
    [
        ({}, Model(), "draft", {"resolution": "480p"}, {"resolution": None}),
        ({"resolution": "1080p"}, Model(), "draft", {"resolution": "480p"}, {"resolution": "1080p"}),
        ({}, Model(resolutions=["1080P", "720P"]), "draft", {"resolution": "720P"}, {"resolution": None}),
        ({}, Model(resolutions=["4k"]), "draft", {"resolution": "480p"}, {"resolution": None}),
        (
            {"return_last_frame": True, "seed": 4},
            Model(draft={"draft": True, "return_last_frame": False}),
            "draft",
            {"draft": True, "return_last_frame": False, "seed": 4},
            {"draft": None, "return_last_frame": True},
        ),
        (
            {"duration": 10},
            Model(),
            {"draft": {"duration": 4}},
            {"resolution": "480p", "duration": 4},
            {"resolution": None, "duration": 10},
        ),
        (
            {"frames": 240},
            Model(),
            {"draft": {"duration": 4, "resolution": "360p"}},
            {"resolution": "360p", "duration": 4},
            {"resolution": None, "duration": None, "frames": 240},
        ),
    ],
)
def test_a_shot_is_made_small(
    shot: dict[str, Any], model: Model, draft: object, made_of: dict[str, Any], final: dict[str, Any]
) -> None:
    """By the storyboard before the profile before what all can."""
    draft_of_shot = small(shot, model, **{"pass": draft})
    assert (draft_of_shot.input, draft_of_shot.final) == ({"prompt": "x", **made_of}, final)


def test_it_is_priced_as_the_draft_that_it_is_and_only_once() -> None:
    """A run is started, and planned, of what was priced."""
    providers = Providers(default="byteplus", entries={}, environ={})
    dear = check_storyboard({"model": "dreamina-seedance-2-0-260128", "shots": [SHOT]})
    cheap = check_storyboard({"model": "dreamina-seedance-2-0-260128", "pass": "draft", "shots": [SHOT]})
    (final,), (draft,) = with_estimates(dear, providers).shots, with_estimates(cheap, providers).shots
    assert final.final is None
    assert isinstance(final.estimate, Estimate)
    assert isinstance(draft.estimate, Estimate)
    assert draft.estimate.high < final.estimate.high / 4
    again = with_estimates(with_estimates(cheap, providers), providers)
    assert again.shots == (draft,)


SHOT = {"prompt": "x", "resolution": "1080p", "duration": 5}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("drafts", "expected draft, final, or {draft: {duration: 4}}"),
        (True, "expected draft, final"),
        ({}, "write pass: draft"),
        ({"draft": {"durration": 4}}, 'did you mean "duration"'),
        ({"draft": {"duration": "4"}}, "write 4 without quotes"),
        ({"draft": {"prompt": "y"}}, 'unknown key "prompt"'),
    ],
)
def test_a_mistake_is_reported_once(value: object, words: str) -> None:
    """With its place."""
    with pytest.raises(StoryboardInvalid) as error:
        board({}, **{"pass": value})
    (mistake,) = error.value.mistakes
    assert mistake.place.startswith("pass")
    assert words in mistake.message


def test_a_final_is_one_that_says_so_or_nothing() -> None:
    """And a hook, whose first clip is there, has no draft."""
    assert board({}, **{"pass": "final"}).draft is None
    with pytest.raises(StoryboardInvalid, match="has no draft"):
        check_storyboard({"model": "m", "pass": "draft", "shots": [{"prompt": "x"}]}, before="start")


def test_the_tier_at_the_top_is_that_of_all_shots_but_those_that_have_their_own() -> None:
    """Said twice is a mistake."""
    shots = [{"prompt": "x"}, {"prompt": "y", "service_tier": "default"}]
    storyboard = check_storyboard({"model": "m", "service_tier": "flex", "shots": shots})
    assert [shot.input["service_tier"] for shot in storyboard.shots] == ["flex", "default"]
    with pytest.raises(StoryboardInvalid, match="keep one of the two"):
        check_storyboard(
            {"model": "m", "service_tier": "flex", "defaults": {"service_tier": "flex"}, "shots": [{"prompt": "x"}]}
        )
