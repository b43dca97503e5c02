"""Bodies that are not as documented: something missing, under another name, of another kind, or nonsense altogether."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_file import load_profile, load_shipped, profile_names
from framerelay.upstream.reading import read_answer
from framerelay.upstream.understanding import AnswerKind, understand
from framerelay.upstream.wire import JobState
from tests.upstream.provider_bodies import ANSWERS, FINAL, REFUSED_WITH, kind_of, name_of, read

Place = tuple[str | int, ...]
# No false, and no number that is a state somewhere: these could be true answers of another meaning.
JUNK: list[Any] = [None, "", " ", [], {}, [{}], {"x": 1}, [[1]], 0, -1, 3.5, 10**30, True, "nonsense", "…", "https://x"]
KNOWN = ("queued", "running", *FINAL, "unknown", "absent", "accepted", "refused", "unknown_outcome")


def places_in(value: Any, path: Place = ()) -> list[Place]:
    """Every place in a JSON value but the whole."""
    inside: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return [place for key, each in inside for place in ((*path, key), *places_in(each, (*path, key)))]


def changed(body: Any, place: Place, how: Any) -> Any:
    """A copy of *body* with one thing otherwise: left out, renamed, in a list or a group, or *how* in its place."""
    copy_of_body = copy.deepcopy(body)
    at = copy_of_body
    for key in place[:-1]:
        at = at[key]
    key = place[-1]
    value = at.pop(key)
    if isinstance(at, list) and how in ("missing", "renamed"):
        return copy_of_body
    new_key = f"x_{key}" if how == "renamed" else key
    new = {"renamed": value, "in a list": [value], "in a group": {"x": value}}.get(how if isinstance(how, str) else "")
    if how != "missing":
        new = how[1] if isinstance(how, tuple) else new
        at.insert(key, new) if isinstance(at, list) else at.update({new_key: new})
    return copy_of_body


HOW = st.sampled_from(["missing", "renamed", "in a list", "in a group", *(("junk", value) for value in JUNK)])


@st.composite
def damaged(draw: st.DrawFn) -> tuple[dict[str, Any], Any, int]:
    """One of the bodies that are known, what became of its content, and how much was done to it."""
    example = draw(st.sampled_from(ANSWERS))
    body, times = example["body"], draw(st.integers(1, 3))
    for _ in range(times):
        if places := places_in(body):
            body = changed(body, draw(st.sampled_from(places)), draw(HOW))
    return example, body, times


@settings(max_examples=3000)
@given(damaged())
def test_a_damaged_body_is_never_read_as_the_opposite(case: tuple[dict[str, Any], Any, int]) -> None:
    """What is not understood is asked about again; a wrong end of a job costs its clip, or its price a second time."""
    example, body, times = case
    truth = example["kind"].partition("_")[2] or "refusal"
    status = REFUSED_WITH[example["provider"]] if truth == "refusal" else 200
    state = read(body, example["provider"], kind_of(example), status=status)["state"]

    assert state in KNOWN
    match truth:
        case "answer" if times == 1:  # Two blows may make a clear refusal of it.
            assert state in ("accepted", "unknown_outcome")
        case "answer" | "refusal":
            assert state not in FINAL
        case "running" | "progress":
            assert state not in FINAL
        case "success":
            assert state not in ("failed", "expired", "cancelled")
        case "failed":
            assert state != "succeeded"


@pytest.mark.parametrize("body", ANSWERS, ids=name_of)
def test_a_body_with_one_thing_otherwise_is_never_read_as_the_opposite(body: dict[str, Any]) -> None:
    """Each place of each body, each way: what the random one above may not meet."""
    kind, truth = kind_of(body), body["kind"].partition("_")[2] or "refusal"
    states = {
        "answer": ("accepted", "unknown_outcome"),
        "refusal": ("refused", "unknown_outcome"),
        "running": ("queued", "running", "unknown", "absent"),
        "progress": ("queued", "running", "unknown", "absent"),
        "success": ("succeeded", "unknown", "absent", "queued", "running"),
        "failed": ("failed", "unknown", "absent"),
    }[truth]
    status = REFUSED_WITH[body["provider"]] if truth == "refusal" else 200
    for place in places_in(body["body"]):
        for how in ("missing", "renamed", "in a list", "in a group", *(("junk", value) for value in JUNK)):
            other = changed(body["body"], place, how)
            assert read(other, body["provider"], kind, status=status)["state"] in states, (place, how, other)


WORDS_SEEN = sorted({str(key) for body in ANSWERS for place in places_in(body["body"]) for key in place})
VALUES_SEEN = sorted(
    {value for body in ANSWERS for value in json.dumps(body["body"], ensure_ascii=False).split('"') if len(value) < 40}
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(VALUES_SEEN) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS_SEEN) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)
KINDS = st.sampled_from(["create", "get", "callback"])


@settings(max_examples=1500)
@given(st.sampled_from(profile_names()), KINDS, VALUES, st.sampled_from([200, 202, 400, 404, 429, 500, 503]))
def test_no_body_is_too_much(name: str, kind: AnswerKind, body: Any, status: int) -> None:
    """Any JSON, made of the words that providers use, of any status: understood or not, nothing is raised."""
    understanding = understand(load_shipped(name), kind, json.dumps(body).encode(), status=status)
    assert understanding["state"] in KNOWN
    assert understanding["state"] not in FINAL or (kind != "create" and status < 300) or kind == "callback"


@settings(max_examples=300)
@given(st.sampled_from(profile_names()), KINDS, st.binary(max_size=60))
def test_no_bytes_are_too_much(name: str, kind: AnswerKind, body: bytes) -> None:
    """What is no JSON says nothing about a job."""
    assert understand(load_shipped(name), kind, body)["state"] in ("unknown", "unknown_outcome")


def test_an_unknown_word_is_shown_unchanged() -> None:
    """The author of a profile sees which word its states lack."""
    read = understand(load_shipped("kling"), "get", b'{"code": 0, "data": [{"id": "1", "status": "wrking"}]}')
    assert (read["state"], read["status_word"]) == ("unknown", "wrking")


@pytest.mark.parametrize(
    "text",
    [
        '{"resultUrls":["https://files.example/\\ud800.mp4"]}',
        '{"resultUrls":["https://files.example/1.mp4"],"more":[' + "1," * 20_000 + "1]}",
        '{"resultUrls":["https://files.example/1.mp4"],"more":' + "[" * 20_000 + "]" * 20_000 + "}",
        '{"resultUrls":["https://files.example/1.mp4"],"more":NaN}',
    ],
    ids=["half a surrogate pair", "many values", "deep", "no number"],
)
def test_json_in_a_text_is_bounded_as_any_body_is(text: str) -> None:
    """Half a pair could not be saved with the run, and its look-up came to nothing again and again."""
    report = read_answer(
        load_shipped("kie"), {"code": 200, "data": {"taskId": "7", "state": "success", "resultJson": text}}
    )

    assert (report.state, report.video_url) == (JobState.SUCCEEDED, None)


# --- gateways of odd manners -------------------------------------------------------------------------------------

ODD = """
profile: 1
id: odd
title: Odd
base: https://odd.example
create: {{post: /go, body: {{p: "{{prompt}}"}}, id: {id}}}
get: {{get: "/job/{{id}}"{get}}}
read: {{id: {id}, status: {status}, states: {states}, clip: {clip}}}
"""


def odd(tmp_path: Path, **how: str) -> Profile:
    """A gateway that nobody has heard of."""
    usual = {"id": "id", "get": "", "status": "state", "states": "{ok: succeeded, bad: failed}", "clip": "url"}
    path = tmp_path / "odd.yaml"
    path.write_text(ODD.format(**{**usual, **how}), encoding="utf-8")
    return load_profile(path)


@pytest.mark.parametrize(
    ("number", "job_id"),
    [(b"7", "7"), (b"0", "0"), (b"7.0", "7"), (b"18446744073709551615", "18446744073709551615"), (b"1.5", None)],
)
def test_a_job_may_have_a_number(tmp_path: Path, number: bytes, job_id: str | None) -> None:
    """Of 64 bits, or from a language that has no whole numbers: its submit was accepted, and is not held."""
    reading = understand(odd(tmp_path), "create", b'{"id": ' + number + b"}")
    assert reading["job_ids"] == ([job_id] if job_id else [])
    assert reading["state"] == ("accepted" if job_id else "unknown_outcome")


@pytest.mark.parametrize(
    ("states", "word", "state"),
    [
        ("{true: succeeded, false: running, x: failed}", b"true", "succeeded"),
        ("{true: succeeded, false: running, x: failed}", b"false", "running"),
        ("{'true': succeeded, 'false': running, x: failed}", b"true", "succeeded"),
        ("{2: succeeded, 1: running, 3: failed}", b"2", "succeeded"),
        ("{2: succeeded, 1: running, 3: failed}", b"1.0", "running"),
        ("{'2': succeeded, '1': running, '3': failed}", b"2", "succeeded"),
    ],
)
def test_a_status_may_be_a_number_or_yes_and_no(tmp_path: Path, states: str, word: bytes, state: str) -> None:
    """As the file says it, with or without quotes; at a look-up and in a callback."""
    profile = odd(tmp_path, states=states)
    body = b'{"id": 1, "state": ' + word + b', "url": "https://x.example/a.mp4"}'
    assert understand(profile, "get", body)["state"] == state
    assert understand(profile, "callback", body)["state"] == state


def test_an_answer_may_be_a_list(tmp_path: Path) -> None:
    """By position, or by the value of a key; an empty one is no job, where that is how its profile says it."""
    whole = odd(tmp_path, id='"[0].id"', status='"[0].state"', clip='"[0].url"')
    assert understand(whole, "create", b'[{"id": 7}]')["job_ids"] == ["7"]
    assert understand(whole, "get", b'[{"id": 7, "state": "ok", "url": "https://x.example/a"}]')["state"] == "succeeded"

    record = odd(tmp_path, id='"id|[0].id"', get=', record: "[kind=video]", absent: not_found')
    body = b'[{"kind": "still"}, {"kind": "video", "id": 8, "state": "ok", "url": "https://x.example/b"}]'
    read = understand(record, "get", body)
    assert (read["state"], read["job_ids"], read["clip_url"]) == ("succeeded", ["8"], "https://x.example/b")
    assert understand(record, "get", b"[]")["state"] == "absent"
    assert understand(record, "create", b"[]")["state"] == "unknown_outcome"
