"""The request that a profile makes of an order: words, types, addresses, and what a model wants otherwise."""

from typing import Any

import msgspec
import pytest

from framerelay.runs.errors import RequestInvalid
from framerelay.upstream.order import Order, create_request, fill_address
from framerelay.upstream.profile import Create, Get, Profile
from framerelay.upstream.profile_models import Model
from framerelay.upstream.template import fill

BODY = {
    "model": "{model}",
    "seconds": "{duration}",
    "text": "{prompt} --ratio {ratio}",
    "seed": "{seed}",
    "sound": {"$when": "audio", "on": "{audio}"},
    "images": [{"$each": "ref_images", "url": "{item}", "of": "{model}"}],
    "frame": {"$when": "first_frame", "image": {"url": "{first_frame}"}},
}


def profile(*, models: dict[str, Model] | None = None, **create: Any) -> Profile:
    """A small gateway."""
    rules = Create(**{"post": "/jobs", "body": BODY, **create})
    return Profile(
        profile=1, id="p", title="p", base="https://p", create=rules, get=Get(get="/jobs/{id}"), models=models or {}
    )


def order(*, model: str = "m", **fields: Any) -> Order:
    """A prompt, and *fields* of the storyboard; those that are no fields go to the order itself."""
    own = {name: fields.pop(name) for name in ("first_frame", "last_frame", "extra", "callback_url") if name in fields}
    return Order(model=model, take="t", input={"prompt": "rain", **fields}, **own)


def body(one_profile: Profile, **fields: Any) -> Any:
    return create_request(one_profile, order(**fields)).body


def test_a_word_alone_keeps_its_type_and_a_word_within_a_text_does_not() -> None:
    """A whole number of seconds is a whole number, however YAML had it."""
    content = body(profile(), duration=5.0, seed=0, ratio="16:9")
    assert content == {"model": "m", "seconds": 5, "seed": 0, "text": "rain --ratio 16:9"}
    assert type(content["seconds"]) is int
    assert body(profile(), duration=5.5)["seconds"] == 5.5


def test_what_contains_a_word_without_a_value_is_left_out() -> None:
    """The text, the group, the list: nothing is sent as null."""
    assert body(profile()) == {"model": "m"}
    assert "null" not in msgspec.json.encode(body(profile())).decode()
    assert fill({"a": {"b": [{"c": "{seed}"}]}}, {}) is None
    assert fill({"a": [], "b": {}}, {}) == {"a": [], "b": {}}, "what a profile leaves empty itself is sent so"


def test_no_and_zero_are_values() -> None:
    """``generate_audio: false`` has to be said, and seed 0 is one."""
    content = body(profile(), generate_audio=False, seed=0)
    assert (content["sound"], content["seed"]) == ({"on": False}, 0)


def test_every_entry_of_a_list_makes_a_group() -> None:
    """With the words around it."""
    assert body(profile(), reference_image_urls=["a", "b"])["images"] == [
        {"url": "a", "of": "m"},
        {"url": "b", "of": "m"},
    ]
    assert "images" not in body(profile(), reference_image_urls=[])


def test_a_prompt_that_looks_like_a_template_is_only_text() -> None:
    """Words are put in once: what a person wrote is never filled again."""
    request = create_request(
        profile(), Order(model="m", take="t", input={"prompt": "{take} {seed}", "ratio": "{model}"})
    )
    assert request.body["text"] == "{take} {seed} --ratio {model}"


@pytest.mark.parametrize(
    ("rule", "value", "text"),
    [
        ("{}s", 5, "5s"),
        ({"5": 121, "10": 241}, 5, 121),
        ({"5": 121}, 7, 7),
        ({"5": "drop"}, 5, None),
        ("drop", 5, None),
        ({"$when_first_frame": "drop"}, 5, 5),
        (4, None, 4),
        ("{}s", None, None),
    ],
)
def test_a_value_is_written_as_the_provider_writes_it(rule: object, value: object, text: object) -> None:
    """By a map, a format, dropped, or always the same."""
    assert body(profile(values={"duration": rule}), duration=value).get("seconds") == text


def test_a_map_knows_its_words_in_any_case_and_the_models_rule_goes_first() -> None:
    """``720P`` and ``720p`` are one size."""
    one_profile = profile(
        values={"ratio": {"16:9": "WIDE"}}, models={"other": Model(values={"ratio": {"16:9": "landscape"}})}
    )
    assert body(one_profile, ratio="16:9")["text"] == "rain --ratio WIDE"
    assert body(one_profile, model="other", ratio="16:9")["text"] == "rain --ratio landscape"
    beside = profile(values={"resolution": {"720P": "std"}}, body={"size": "{resolution}"})
    assert body(beside, resolution="720p") == {"size": "std"}


def test_a_model_has_its_fields_under_other_names_without_some_and_with_others() -> None:
    """Into groups and out of them."""
    model = Model(
        fields={"frame.image.url": "input.image", "seed": "drop", "gone": "x"}, drop=["text"], set={"input.mode": "pro"}
    )
    content = body(profile(models={"m": model}), seed=3, ratio="1:1", first_frame="https://f", duration=5)
    assert content == {
        "model": "m",
        "seconds": 5,
        "frame": {"image": {}},
        "input": {"image": "https://f", "mode": "pro"},
    }


def test_raw_fields_go_over_all_others_and_into_their_groups() -> None:
    """``extra`` is the last word, and is not read as a template."""
    content = body(
        profile(), first_frame="https://f", extra={"frame": {"strength": 0.5}, "seconds": "{take}", "new": None}
    )
    assert content["frame"] == {"image": {"url": "https://f"}, "strength": 0.5}
    assert (content["seconds"], content["new"]) == ("{take}", None)


def test_paths_are_chosen_by_the_frames_that_there_are() -> None:
    """And a combination that the provider does not make is refused before money, in words."""
    one_profile = profile(by={"none": "/text", "first": "/image"})
    assert create_request(one_profile, order()).url == "/text"
    assert create_request(one_profile, order(first_frame="https://f")).url == "/image"
    with pytest.raises(RequestInvalid, match="makes no clip from a first and a last frame together"):
        create_request(one_profile, order(first_frame="https://f", last_frame="https://l"))
    without = profile(without={"first_frame": "/text"})
    assert [create_request(without, each).url for each in (order(), order(first_frame="https://f"))] == [
        "/text",
        "/jobs",
    ]


@pytest.mark.parametrize(
    ("template", "words", "address"),
    [
        ("/jobs/{id}", {"id": "a/b?c#d e"}, "/jobs/a%2Fb%3Fc%23d%20e"),
        ("/jobs/{id}", {"id": 7}, "/jobs/7"),
        ("/{model}/run", {"model": "a/b"}, "/a/b/run"),
        ("/{model}/run", {"model": "a/b?x"}, "/a/b%3Fx/run"),
        ("{kept.status}", {"kept.status": "https://q/a?b=c"}, "https://q/a?b=c"),
    ],
)
def test_a_word_in_an_address_is_never_more_than_its_part(template: str, words: Any, address: str) -> None:
    """Names of models have slashes of their own, ids have none; a kept address is used unchanged."""
    assert fill_address(template, words) == address


@pytest.mark.parametrize("value", ["", ".", "..", "../keys", "a//b", "a/../b"])
def test_a_word_cannot_lead_out_of_its_place(value: str) -> None:
    """A model is named by a storyboard, an id by a callback."""
    with pytest.raises(RequestInvalid, match="cannot be part of an address"):
        fill_address("/v1/{model}/jobs", {"model": value})
    if "/" not in value:
        with pytest.raises(RequestInvalid, match="cannot be part of an address"):
            fill_address("/v1/jobs/{id}", {"id": value})


def test_an_address_needs_all_of_its_words() -> None:
    """Whichever is missing is named."""
    with pytest.raises(RequestInvalid, match=r"needs kept\.status"):
        fill_address("{kept.status}", {})
