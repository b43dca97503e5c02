"""Every mistake of a storyboard, with its place."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs.errors import StoryboardInvalid
from framerelay.storyboards.inputs import INPUT_FIELDS
from framerelay.storyboards.scenes import SHOTS_MAX
from framerelay.storyboards.storyboard import check_storyboard, read_storyboard
from tests.storyboards.boards import board, mistakes, mistakes_in, mistakes_of_shots


def test_five_mistakes_are_five_mistakes_in_the_order_of_the_file() -> None:
    """Nobody has to run the command five times."""
    text = """\
model: m
budget: {jobs: 0}
defaults: {duration: "5"}
shots:
  - {promt: a}
  - prompt: b
    from: s9
    camera_fixed: yes
"""
    assert [str(mistake) for mistake in mistakes_in(text)] == [
        "line 2, budget.jobs: expected a whole number of 1 or more, found 0",
        'line 3, defaults.duration: expected a number, found the text "5": write 5 without quotes',
        'line 5, shots[0].promt: unknown key "promt" (did you mean "prompt"?)',
        'line 7, shots[1].from: there is no shot "s9"; write continue, bridge, cut or the id of an earlier shot',
        'line 8, shots[1].camera_fixed: expected true or false, found the text "yes": write true, without quotes',
    ]


def test_json_mistakes_have_lines_too() -> None:
    """The same places, whatever the form; brackets and commas within texts confuse nobody."""
    text = '{\n "model": "m\\"}]",\n "shots": [\n  {"prompt": "{[,:\\n"},\n\n  {"prompt": 5,\n   "seed": 5.0}\n ]\n}'

    assert [str(mistake) for mistake in mistakes_in(text, "json")] == [
        'line 6, shots[1].prompt: expected text, found the number 5: put it in quotes, "5"',
        "line 7, shots[1].seed: expected a whole number, found the number 5.0: write 5",
    ]


@pytest.mark.parametrize(
    ("shots", "place", "words"),
    [
        ([{}], "shots[0].prompt", "needs a prompt"),
        ([{"prmpt": "a"}], "shots[0].prmpt", 'did you mean "prompt"'),
        ([{"prompt": "  "}], "shots[0].prompt", "empty"),
        ([{"prompt": None}], "shots[0].prompt", "found nothing"),
        ([{"prompt": True}], "shots[0].prompt", 'put it in quotes, "true"'),
        ([{"prompt": "half \ud83d"}], "shots[0].prompt", "half a character"),
        (["a"], "shots[0]", "expected keys with values"),
        ([], "shots", "no shots here"),
        ([{"prompt": "a", "id": "a b"}], "shots[0].id", "cannot be a name"),
        ([{"prompt": "a", "id": "x" * 41}], "shots[0].id", "cannot be a name"),
        ([{"prompt": "a", "id": "bridge"}], "shots[0].id", "meaning of its own"),
        ([{"prompt": "a", "id": "x"}, {"prompt": "b", "id": "X"}], "shots[1].id", "taken already"),
        ([{"prompt": "a", "id": "Y"}, {"prompt": "b", "id": "y"}], "shots[1].id", "taken already"),
        ([{"prompt": "a", "id": "start"}, {"prompt": "b", "from": "strat"}], "shots[1].from", 'did you mean "start"'),
        ([{"prompt": "a", "from": "s2"}, {"prompt": "b"}], "shots[0].from", "a later shot"),
        ([{"prompt": "a", "from": "s1"}], "shots[0].from", "this shot itself"),
        ([{"prompt": "a"}, {"prompt": "b", "first_frame": "a.png"}], "shots[1].first_frame", "write from: cut"),
        (
            [{"prompt": "a"}, {"prompt": "b", "from": "s1", "first_frame": "a.png"}],
            "shots[1].first_frame",
            'last frame of "s1"',
        ),
        ([{"prompt": "a"}, {"prompt": "b", "from": "bridge"}], "shots[1].last_frame", "add last_frame"),
        ([{"prompt": "a", "from": "bridge", "last_frame": "a.png"}], "shots[0].first_frame", "add the frame"),
        ([{"prompt": "a", "from": "cut", "last_frame": "a.png"}], "shots[0].last_frame", "add first_frame"),
        (
            [{"prompt": "a", "first_frame": "a.png", "first_frame_url": "https://e.com/a"}],
            "shots[0].first_frame_url",
            "keep one",
        ),
        ([{"prompt": "a", "first_frame_url": "a.png"}], "shots[0].first_frame_url", "for a file write first_frame"),
        ([{"prompt": "a", "first_frame": "ftp://e.com/a"}], "shots[0].first_frame", "cannot be a frame"),
        ([{"prompt": "a", "first_frame": "file:../../x.png"}], "shots[0].first_frame", "cannot be a frame"),
        ([{"prompt": "a", "first_frame": "https://"}], "shots[0].first_frame", "cannot be a frame"),
        ([{"prompt": "a", "takes": 9}], "shots[0].takes", "from 1 to 8"),
        ([{"prompt": "a", "takes": True}], "shots[0].takes", "found true"),
        ([{"prompt": "a", "pick": "best"}], "shots[0].pick", "the word first"),
        ([{"prompt": "a", "gate": "yes"}], "shots[0].gate", "the word approve"),
        ([{"prompt": "a", "seed": "1"}], "shots[0].seed", "write 1 without quotes"),
        ([{"prompt": "a", "seed": 2**63}], "shots[0].seed", "expected a whole number"),
        ([{"prompt": "a", "seed": 10**5000}], "shots[0].seed", "a very long one"),
        ([{"prompt": "a", "duration": math.nan}], "shots[0].duration", "ordinary number"),
        ([{"prompt": "a", "duration": -math.inf}], "shots[0].duration", "ordinary number"),
        ([{"prompt": "a", "duration": False}], "shots[0].duration", "expected a number, found false"),
        ([{"prompt": "a", "draft": 0}], "shots[0].draft", "expected true or false, found the number 0"),
        ([{"prompt": "a", "resolution": 720}], "shots[0].resolution", 'put it in quotes, "720"'),
        ([{"prompt": "a", "reference_image_urls": "https://e.com/a"}], "shots[0].reference_image_urls", "a list"),
        ([{"prompt": "a", "reference_image_urls": ["a.png"]}], "shots[0].reference_image_urls[0]", "must be a URL"),
        ([{"prompt": "a", "reference_image_urls": ["file://a"]}], "shots[0].reference_image_urls[0]", "must be a URL"),
        ([{"prompt": "a", "callback_url": "https://e.com"}], "shots[0].callback_url", "is ours"),
        ([{"prompt": "a", "style": "b"}], "shots[0].style", "at the top"),
        ([{"prompt": "a", "frame": 1}], "shots[0].frame", 'did you mean "frames"'),
        ([{"prompt": "a", "\ud83d\n" * 50: 1}], "shots[0]." + "\\ud83d\\n" * 19 + "\\ud83d…", "unknown key"),
    ],
)
def test_a_mistake_in_a_shot_is_reported_with_its_place(shots: list[object], place: str, words: str) -> None:
    """One mistake, one line, and what to write instead."""
    (mistake,) = mistakes_of_shots(*shots)

    assert mistake.startswith(f"{place}: ")
    assert words in mistake
    mistake.encode()


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ({"version": 2}, "version", "write version: 1"),
        ({"version": "1"}, "version", "write version: 1"),
        ({"version": True}, "version", "write version: 1"),
        ({"model": ...}, "model", "name the model"),
        ({"model": " "}, "model", "empty"),
        ({"shots": ...}, "shots", "there are no shots"),
        ({"shots": ..., "scene": []}, "scene", 'did you mean "scenes"'),
        ({"shots": ..., "scenes": []}, "scenes", "no scenes"),
        ({"shots": ..., "scenes": [{"id": "a"}]}, "scenes[0].shots", "needs shots"),
        ({"shots": ..., "scenes": {"a": 1}}, "scenes", "begin each entry with a dash"),
        ({"scenes": [{"shots": [{"prompt": "a"}]}]}, "shots", "keep one"),
        ({"budget": 12}, "budget", "write budget: {jobs: 12}"),
        ({"budget": {}}, "budget", "{jobs: 12}"),
        ({"budget": {"job": 3}}, "budget.job", 'did you mean "jobs"'),
        ({"notify_url": "example.com"}, "notify_url", "begins with https://"),
        ({"notify_url": "http://[::1"}, "notify_url", "a host name that can be looked up"),
        ({"notify_url": "https://xn--a/x"}, "notify_url", "a host name that can be looked up"),
        ({"title": 5}, "title", 'put it in quotes, "5"'),
        ({"style": ""}, "style", "empty"),
        ({"duration": 5}, "duration", "under defaults"),
        ({"prompt": "a"}, "prompt", "belongs to a shot"),
        ({"callback_url": "https://e.com"}, "callback_url", "is ours"),
        ({"defaults": {"callback_url": "https://e.com"}}, "defaults.callback_url", "is ours"),
        ({"defaults": {"prompt": "a"}}, "defaults.prompt", "belongs to a shot"),
        ({"defaults": {"first_frame": "a.png"}}, "defaults.first_frame", "a scene or a shot"),
        ({"defaults": {"last_frame_url": "https://e.com"}}, "defaults.last_frame_url", "belongs to a shot"),
        ({"defaults": {"takes": 2}}, "defaults.takes", "shot by shot"),
        ({"defaults": []}, "defaults", "expected keys with values, found a list"),
        ({"color": "red"}, "color", 'unknown key "color"; known here: version, title, model'),
    ],
)
def test_a_mistake_at_the_top_is_reported_with_its_place(change: dict[str, Any], place: str, words: str) -> None:
    """A key in the wrong room is sent to the right one; ``...`` leaves a key out."""
    document = {"model": "m", "shots": [{"prompt": "a"}], **change}

    (mistake,) = mistakes({key: value for key, value in document.items() if value is not ...})

    assert mistake.startswith(f"{place}: ")
    assert words in mistake


def test_mistakes_between_a_scene_and_its_first_shot_are_reported() -> None:
    """A scene's frame that nothing would use, one given twice, repeated ids, keys of a shot."""
    shots = [{"prompt": "a", "from": "cut"}]
    scenes = [
        {"id": "a", "first_frame": "a.png", "shots": shots},
        {"id": "a", "first_frame": "a.png", "shots": [{"prompt": "b", "first_frame": "b.png"}]},
        {"prompt": "a", "seed": 1, "last_frame": "c.png", "shots": shots},
    ]

    lines = mistakes({"model": "m", "scenes": scenes})

    assert [line.split(":")[0] for line in lines] == [
        "scenes[0].first_frame",
        "scenes[1].id",
        "scenes[1].shots[0].first_frame",
        "scenes[2].prompt",
        "scenes[2].seed",
        "scenes[2].last_frame",
    ]


def test_references_with_a_first_frame_are_passed_on() -> None:
    """Ark takes one or the other; the jobs API's own sample shows both, so the provider decides."""
    references = {"reference_image_urls": ["https://e.com/a.png"]}

    _, second = board({"prompt": "a"}, {"prompt": "b"}, defaults=references).shots

    assert second.source == "s1"
    assert second.input["reference_image_urls"] == ["https://e.com/a.png"]


def test_too_many_shots_are_refused_in_one_line() -> None:
    """A run is saved whole at every event, so its size has a limit."""
    assert len(board(*[{"prompt": "a"}] * SHOTS_MAX).shots) == SHOTS_MAX
    (line,) = mistakes_of_shots(*[{"prompt": "a"}] * (SHOTS_MAX + 1))
    assert line == f"shots[{SHOTS_MAX}]: this is shot number {SHOTS_MAX + 1}; a storyboard can have {SHOTS_MAX}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
shot_keys = st.sampled_from(["id", "prompt", "from", "first_frame", "last_frame_url", "takes", "seed", "gate", "x"])
shot_words = st.sampled_from(["s1", "s2", "cut", "bridge", "continue", "a.png", "https://e.com/a", "file:a.png", ""])
any_shots = st.lists(st.dictionaries(shot_keys, shot_words | json_values, max_size=5), max_size=4)
any_documents = st.fixed_dictionaries(
    {"model": st.just("m") | json_values},
    optional={
        "shots": any_shots | json_values,
        "scenes": st.lists(
            st.fixed_dictionaries({"shots": any_shots}, optional={"first_frame": shot_words}), max_size=3
        ),
        "defaults": st.dictionaries(st.sampled_from([*INPUT_FIELDS, "x"]), json_values, max_size=3),
        "budget": json_values,
        "style": json_values,
    },
)


@settings(max_examples=150)
@given(any_documents)
def test_whatever_is_written_is_a_storyboard_or_has_mistakes(document: dict[str, Any]) -> None:
    """Nothing else is ever raised; a sound one survives its own document, and every source is earlier."""
    try:
        storyboard = check_storyboard(document)
    except StoryboardInvalid as error:
        str(error).encode()
        return
    assert check_storyboard(msgspec.json.decode(msgspec.json.encode(storyboard.document))) == storyboard
    ids = [shot.id for shot in storyboard.shots]
    assert len(set(ids)) == len(ids)
    for place, shot in enumerate(storyboard.shots):
        assert shot.source is None or (shot.source in ids[:place] and shot.first_frame is None)


@settings(max_examples=100)
@given(any_documents)
def test_the_form_of_a_document_changes_no_mistake(document: dict[str, Any]) -> None:
    """YAML, JSON and decoded: the same places in the same words."""
    text = json.dumps(document, indent=1)

    def places_and_words(read: Any) -> set[tuple[str, str]]:
        try:
            read()
        except StoryboardInvalid as error:
            return {(mistake.place, mistake.message) for mistake in error.mistakes}
        return set()

    mistakes_in_parsed = places_and_words(lambda: check_storyboard(json.loads(text)))
    assert places_and_words(lambda: read_storyboard(text, form="json")) == mistakes_in_parsed
