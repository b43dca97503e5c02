"""The requests that the shipped profiles make of a storyboard's words: those that are known, to the letter."""

import json
import re
from typing import Any

import pytest

from framerelay.upstream.order import Order, create_request
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_file import load_shipped, profile_names
from tests.upstream.provider_bodies import REQUESTS, name_of

FIRST, LAST = "https://example.com/first.png", "https://example.com/last.png"
WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "ark": (
        "doubao-seedance-1-5-pro-251215",
        {"ratio": "adaptive", "resolution": "720p", "duration": 5, "watermark": False, "return_last_frame": True},
    ),
    "fal": (
        "bytedance/seedance-2.0/image-to-video",
        {"ratio": "adaptive", "resolution": "720p", "duration": 5.0, "seed": 1},
    ),
    "replicate": ("bytedance/seedance-1-pro", {"duration": 5, "resolution": "720p"}),
    "kling": ("kling-3.0", {"resolution": "1080p", "duration": 5, "watermark": False}),
    "kling-legacy": ("kling-v2-6", {"resolution": "1080p", "duration": 5}),
    "minimax": ("MiniMax-H3", {"resolution": "768p", "duration": 5, "watermark": False}),
    "hailuo": ("MiniMax-Hailuo-02", {"resolution": "768p", "duration": 6}),
    "kie": (
        "bytedance/seedance-2",
        {"aspect_ratio": "16:9", "resolution": "720p", "duration": 5, "return_last_frame": True},
    ),
    "piapi": (
        "seedance-2-preview",
        {"prompt": "A woman sings and strums her guitar", "duration": 5, "aspect_ratio": "16:9"},
    ),
    "luma": ("ray-2", {"ratio": "16:9", "resolution": "720p", "duration": 5}),
    "luma-agents": ("ray-3.2", {"ratio": "16:9", "resolution": "720p", "duration": 5}),
    "vidu": ("viduq3-turbo", {"resolution": "720p", "duration": 5, "ratio": "16:9"}),
    "pixverse": ("v5", {"resolution": "540p", "duration": 5, "watermark": False}),
    "openrouter": ("bytedance/seedance-2.0", {"ratio": "16:9", "resolution": "720p", "duration": 5}),
    "runway": ("seedance2", {"ratio": "16:9", "duration": 5}),
    "dashscope": ("wan2.7-i2v", {"resolution": "720p", "duration": 5, "watermark": False}),
    "veo": ("veo-3.1-generate-preview", {"ratio": "16:9", "resolution": "720p", "duration": 8}),
}
FRAMES: dict[str, tuple[Any, Any]] = {"pixverse": (111, 222), "veo": ("<b64>", "<b64>")}


def order_for(provider: str, **changes: Any) -> Order:
    """What a storyboard says in the words of the request that is known of *provider*."""
    model, words = WORDS[provider]
    first, last = FRAMES.get(provider, (FIRST, LAST))
    values: dict[str, Any] = {
        "model": model,
        "input": {"prompt": "<prompt>", "generate_audio": False, **words},
        "callback_url": "https://relay.example/callbacks/<token>",
        "take": "<take id>",
        "first_frame": first,
        "last_frame": last,
        "webhook_secret": "<shared>",
    }
    return Order(**{**values, **changes})


@pytest.mark.parametrize("body", REQUESTS, ids=name_of)
def test_the_words_of_a_storyboard_make_the_request_that_is_known(body: dict[str, Any]) -> None:
    """The same keys, values and types, at the same address, under the same headers."""
    provider = body["provider"]
    profile = load_shipped(provider)
    plan = create_request(profile, order_for(provider))

    assert json.dumps(plan.body, sort_keys=True) == json.dumps(body["body"], sort_keys=True)
    address = re.search(r"POST (\S+?)(\?\S*)?(?= |$)", body["source"])
    if address and "{" not in address[1]:
        assert f"{profile.base}{plan.url}".endswith(address[1])
    for name, value in body.get("headers", {}).items():
        if name != "Cancel-After":  # Not ours to say: the deadline of a run is.
            check_header(profile, {**profile.headers, **plan.headers}, name, value)


def check_header(profile: Profile, headers: dict[str, str], name: str, value: str) -> None:
    """Of the header with the key, the words around it; of a reference, that there is one; else the value."""
    if "$" in value:
        before, _, variable = value.partition("$")
        assert (profile.auth.header, profile.auth.value) == (name, f"{before}{{key}}")
        assert variable in profile.key_env
    elif value == "<uuid>":
        assert headers[name] == "<take id>"
    elif "<" not in value:
        assert headers[name] == value


def test_the_callback_address_is_in_every_request_to_a_provider_that_calls_back() -> None:
    """In the body or in the query, as the profile says; nowhere for who is polled."""
    for name in profile_names():
        plan = create_request(load_shipped(name), order_for("ark", last_frame=None))
        where = {"create": json.dumps(plan.body), "query": json.dumps(dict(plan.query))}
        on = load_shipped(name).callback.on
        assert [place for place, text in where.items() if "relay.example" in text] == [on] * (on in where), name


def test_our_reference_is_in_every_request_to_a_provider_that_takes_one() -> None:
    """Where `recover` says that it is sent, so that a submit of unknown outcome is found by it."""
    for name in profile_names():
        reference = load_shipped(name).recover.reference
        if reference == "none":
            continue
        plan = create_request(load_shipped(name), order_for("ark", last_frame=None))
        value: Any = {**plan.body, **plan.headers}
        for key in reference.sent_as.split("."):
            value = value[key]
        assert value == "<take id>", name


def test_a_ratio_that_a_model_does_not_have_by_that_word_is_left_out() -> None:
    """``adaptive`` is Seedance's word for the ratio of the picture, which is what the others do without a word."""
    for name in profile_names():
        for model, model_facts in load_shipped(name).models.items():
            if model_facts.ratios is None or "adaptive" in model_facts.ratios:
                continue
            for frames in ({"first_frame": FIRST}, {"first_frame": None}):
                one_order = order_for("ark", model=model, input={"ratio": "adaptive"}, last_frame=None, **frames)
                assert "adaptive" not in json.dumps(create_request(load_shipped(name), one_order).body), (
                    name,
                    model,
                )
