"""A profile as a file: what is wrong with one, line by line, and what it takes from the one that it extends."""

from pathlib import Path
from typing import Any

import pytest

from framerelay.runs.errors import NotFound, RequestInvalid, StoryboardInvalid
from framerelay.upstream.order import Order, create_request
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_file import load_profile, load_shipped, mistakes_in
from framerelay.upstream.profile_models import Price
from framerelay.upstream.template import fill, words_in
from framerelay.upstream.understanding import understand

BROKEN = Path(__file__).parent / "broken_profiles"
MISTAKES: dict[str, list[str]] = {
    "words": [
        "line 1, profile: expected 1, found the number 2",
        "line 3, title: expected text, found the number 5",
        'line 5, chekced: unknown key "chekced" (did you mean "checked"?)',
        'line 6, key_env: expected a list, found the text "GATEWAY_KEY": begin each entry with a dash',
        'line 9, create.body: there is no word {promt} (did you mean "prompt"?)',
        'line 10, create.id: "data..id" is not a path: it stops making sense at ".id"',
        "line 11, create.ok_if.code: expected text, a whole number or true or false, found a list",
        'line 14, get.absent: expected not_found, found "gone"',
        'line 16, callback.on: expected account, create, none or query, found "webhook"',
        'line 17, callback.answer.status: expected a whole number, found the text "200"',
        "line 19, errors[0].family: family is missing here",
        "line 20, errors[1].family: expected account, audio_moderated, cancelled, expired, image_moderated, "
        'quota, rate, request_invalid, server, text_moderated, unknown or video_moderated, found "ratelimit"',
    ],
    "meaning": [
        'line 4, checked: expected a date like 2026-11-29, found "yesterday"',
        "line 5, base: expected the address of the API, for example https://api.example.com",
        "line 6, auth: value needs the word {key}: the place where the key stands",
        "line 7, media: upload is accepted, but nothing says how: add upload, or take it out of accepts",
        "line 8, create: id is missing here: the path of the job's id in the answer",
        'line 9, create.post: expected a path that begins with / or an address with https://, found "jobs"',
        "line 10, create.by.both: the key is sent to no host that is not named: add evil.example to hosts",
        "line 12, get.get: the key is sent to no host that is not named: add other.example to hosts",
        "line 13, read: no state here says succeeded: name the word for it under states",
        "line 13, read: no state here says failed: name the word for it under states, or the value under failed_if",
        "line 13, read: clip is missing here: the path of the address of the clip",
        'line 17, callback.signature: there is no scheme "sha256"',
        'line 19, models.fast.like: there is no model "slow-2" here (did you mean "slow"?)',
        'line 21, poll.every_s: expected a number, found the text "often"',
    ],
    "child": [
        'line 3, extends: there is no profile "arc" to extend',
        "line 7, hosts[1]: expected text, found the number 5",
        'line 9, read.status: the bracket at "[0" is not closed',
        'line 11, read.states.done: expected cancelled, expired, failed, queued, running or succeeded, found "success"',
        'line 12, read.states.done: the key "done" stands here a second time; remove one of the two',
        'line 13, read.clip: "output..url" is not a path: it stops making sense at ".url"',
        'line 16, poll.first_s: expected a number, found the text "soon"',
        'line 18, poll.every_m: unknown key "every_m" (did you mean "every_s"?)',
    ],
}


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_is_reported_with_its_line(name: str) -> None:
    """All at once: who writes a profile does not correct it ten times."""
    assert [str(mistake) for mistake in mistakes_in(BROKEN / f"{name}.yaml")] == MISTAKES[name]


SMALL = """
profile: 1
id: small
title: A small gateway
base: https://gateway.example.com
create: {post: /jobs, body: {prompt: "{prompt}"}, id: id}
get: {get: "/jobs/{id}"}
read: {id: id, status: status, states: {done: succeeded, failed: failed}, clip: url}
models:
  fast: {durations: [5]}
  slow: {like: fast, audio: none}
"""


@pytest.fixture
def profile_of(tmp_path: Path) -> Any:
    """``profile_of(text)``: the profile in a file of that text, beside ``small.yaml``."""

    def make(text: str) -> Profile:
        (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return load_profile(path)

    return make


def order(**values: Any) -> Order:
    """A shot of nothing but text, but for *values*."""
    usual = {"model": "fast", "input": {"prompt": "a cat"}, "callback_url": "https://relay.example/x", "take": "t"}
    return Order(**{**usual, **values})


def test_invalid_yaml_is_reported_for_the_profile(tmp_path: Path) -> None:
    """By the name of its file: nobody wrote a storyboard."""
    (tmp_path / "mine.yaml").write_text("profile: 1\n\tid: mine\n", encoding="utf-8")
    with pytest.raises(StoryboardInvalid, match=r"^line 2, mine\.yaml: this is not YAML: there is a tab"):
        load_profile(tmp_path / "mine.yaml")


def test_a_profile_takes_the_rest_from_the_one_that_it_extends(profile_of: Any) -> None:
    """Next to it, or a shipped one; what it says itself takes precedence, group by group."""
    profile = profile_of(
        "profile: 1\nid: mine\nextends: small\nbase: https://mine.example.com\nread: {states: {ok: succeeded}}\n"
    )
    assert (profile.base, profile.title) == ("https://mine.example.com", "A small gateway")
    assert profile.read.states == {"done": "succeeded", "failed": "failed", "ok": "succeeded"}
    assert set(profile.models) == {"fast", "slow"}
    assert profile_of("profile: 1\nid: mine\nextends: kling\ntitle: Mine\n").read == load_shipped("kling").read


def test_the_models_of_a_gateway_are_its_own(profile_of: Any) -> None:
    """Those of the profile that it extends are sold elsewhere; ``like`` may still name one, for what it can do."""
    profile = profile_of("profile: 1\nid: mine\nextends: small\nmodels: {mine: {like: slow, prompt_max: 9}}\n")
    assert set(profile.models) == {"mine"}
    assert (profile.models["mine"].durations, profile.models["mine"].audio) == ([5.0], "none")


def test_a_missing_profile_is_reported_with_similar_names(profile_of: Any) -> None:
    """By its name on the command line, and by the name that a file extends."""
    with pytest.raises(NotFound, match='did you mean "kling"'):
        load_shipped("klng")
    with pytest.raises(StoryboardInvalid, match='no profile "smal" to extend'):
        profile_of("profile: 1\nid: mine\nextends: smal\n")


# --- what a template and a path can say --------------------------------------------------------------------------


def test_a_single_field_can_hang_on_a_word() -> None:
    """``$value`` gives the field itself, with its type; ``$unless`` is the other side of ``$when``."""
    template = {
        "a": {"$when": "last_frame", "$value": "{first_frame}"},
        "b": {"$unless": "last_frame", "$value": "{first_frame}"},
        "c": [{"$unless": "last_frame", "text": "{prompt}"}],
    }
    assert fill(template, {"first_frame": 1, "prompt": "x"}) == {"b": 1, "c": [{"text": "x"}]}
    assert fill(template, {"first_frame": 1, "last_frame": 2}) == {"a": 1}
    assert fill(template, {}) is None
    assert set(words_in(template)) == {"first_frame", "last_frame", "prompt"}


@pytest.mark.parametrize(
    ("first", "last", "path"), [("u", "v", "/two"), ("u", None, "/one"), (None, None, None), (None, "v", None)]
)
def test_frames_that_a_provider_cannot_take_are_refused(
    profile_of: Any, first: Any, last: Any, path: str | None
) -> None:
    """Before anything is paid: sent to another address, a last frame would be taken for a first one."""
    profile = profile_of("profile: 1\nid: mine\nextends: small\ncreate: {by: {both: /two, first: /one}}\n")
    one_order = order(first_frame=first, last_frame=last)
    if path is not None:
        assert create_request(profile, one_order).url == path
        return
    with pytest.raises(RequestInvalid, match="makes no clip from") as failure:
        create_request(profile, one_order)
    assert failure.value.param == ("last_frame" if last else "first_frame")


def test_a_word_can_be_dropped_with_a_first_frame(profile_of: Any) -> None:
    """As in ``values``, where other words get another value."""
    text = "profile: 1\nid: mine\nextends: small\ncreate:\n  body: {ratio: '{ratio}'}\n"
    profile = profile_of(f"{text}  values: {{ratio: {{$when_first_frame: drop, '16:9': wide}}}}\n")
    wide = {"prompt": "a cat", "ratio": "16:9"}
    assert create_request(profile, order(input=wide)).body == {"prompt": "a cat", "ratio": "wide"}
    assert create_request(profile, order(input=wide, first_frame="u")).body == {"prompt": "a cat"}


def test_a_clip_can_be_at_an_address_that_no_answer_names(profile_of: Any) -> None:
    """Below the provider's own address, by the job's id; an address in the answer goes before."""
    profile = profile_of("profile: 1\nid: mine\nextends: small\nread: {clip_at: '/jobs/{id}/content'}\n")

    def clip(body: bytes) -> str | None:
        return understand(profile, "get", body)["clip_url"]

    assert clip(b'{"id": "j 1", "status": "done"}') == "https://gateway.example.com/jobs/j%201/content"
    assert clip(b'{"id": "j1", "status": "done", "url": "https://x.example/a"}') == "https://x.example/a"
    assert clip(b'{"id": "j1", "status": "failed"}') is None
    assert clip(b'{"id": "..", "status": "done"}') is None
    assert clip(b'{"status": "done"}') is None


def test_a_rule_for_a_state_applies_where_all_of_it_matches(profile_of: Any) -> None:
    """An error next to a job that goes on does not end it."""
    rule = "{has: error, path: done, equals: true, state: failed}"
    profile = profile_of(f"profile: 1\nid: mine\nextends: small\nread: {{states_if: [{rule}]}}\n")

    def state(body: bytes) -> str:
        return understand(profile, "get", body)["state"]

    assert state(b'{"id": "1", "error": {"code": 3}, "done": true}') == "failed"
    assert state(b'{"id": "1", "error": {"code": 3}, "done": false, "status": "x"}') == "unknown"
    assert state(b'{"id": "1", "done": true, "status": "done"}') == "succeeded"


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
def test_what_is_no_number_that_can_be_reckoned_with_is_a_mistake(number: str, tmp_path: Path) -> None:
    """A price of it would be kept to by no budget, a pause of it would never end."""
    path = tmp_path / "mine.yaml"
    more = f"poll: {{every_s: {number}}}\nmodels: {{m: {{price: {{currency: USD, per_s: {number}}}}}}}\n"
    path.write_text(f"profile: 1\nid: mine\nextends: ark\n{more}", encoding="utf-8")

    assert len(mistakes_in(path)) == 2


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("- a list", '"base" does not hold a profile'),
        ("profile: 1\nid: base\nextends: nobody\n", 'there is no profile "nobody" to extend'),
        ("profile: 1\nid: base\nextends: mine\n", "to extend"),
    ],
)
def test_what_is_extended_has_to_be_a_profile_itself(base: str, says: str, tmp_path: Path) -> None:
    """However far below: a list ended the start with a traceback, and a circle or an unknown name said nothing."""
    (tmp_path / "base.yaml").write_text(base, encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text("profile: 1\nid: mine\nextends: base\n", encoding="utf-8")

    assert any(says in mistake.message for mistake in mistakes_in(path)), mistakes_in(path)


def test_a_price_is_of_its_own_model_and_replaces_another_whole(tmp_path: Path) -> None:
    """Put together with a base's, a second one would be reckoned with by the first; and a model that is like another
    costs something else."""
    (tmp_path / "base.yaml").write_text(
        "profile: 1\nid: base\nextends: kling\nmodels:\n  kling-3.0: {price: {currency: CNY, per_clip: 3}}\n"
        "  other: {like: kling-3.0}\n",
        encoding="utf-8",
    )
    path = tmp_path / "mine.yaml"
    path.write_text(
        "profile: 1\nid: mine\nextends: base\nmodels: {kling-3.0: {price: {currency: CNY, per_s: 9}}}\n",
        encoding="utf-8",
    )
    base, mine = load_profile(tmp_path / "base.yaml"), load_profile(path)
    assert base.models["kling-3.0"].price == Price(currency="CNY", per_clip=3)
    assert mine.models["kling-3.0"].price == Price(currency="CNY", per_s=9)
    assert base.models["other"].price is None
    assert base.models["other"].durations == base.models["kling-3.0"].durations
