"""What a person writes: every key becomes what it says, and every mistake is told at once, with its place."""

import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs.errors import Mistake, StoryboardInvalid
from framerelay.runs.model import RunId, RunStatus, Shot, Terms
from framerelay.runs.steps import StepName, steps_due
from framerelay.storyboards.inputs import INPUT_FIELDS, FieldKind
from framerelay.storyboards.scenes import SHOTS_MAX, with_style
from framerelay.storyboards.storyboard import Storyboard, check_storyboard, read_storyboard, start_run
from framerelay.upstream.wire import JobInput

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "docs" / "samples").glob("*.yaml"))

CONTRACT = """\
version: 1
title: 霓虹雨夜
model: seedance-1.5-pro-1080p
budget: {jobs: 12}                      # hard: no submit past it
defaults: {resolution: 720p, duration: 5, ratio: "16:9", seed: 12345}   # any input field of the jobs API
style: 雨夜，霓虹，胶片颗粒                # appended to every prompt
scenes:
  - id: street
    first_frame: ./refs/street.png      # a file (uploaded) or a URL; optional
    shots:
      - {id: s1, prompt: 跑车驶过街道}
      - {id: s2, prompt: 镜头拉近到驾驶座, gate: approve}     # waits for a person before it is submitted
      - {id: s3, prompt: 车停下, from: bridge, last_frame: ./refs/stop.png, takes: 2}
      - {id: s4, prompt: 俯拍, from: cut, first_frame: ./refs/top.png}
      - {id: s5, prompt: 回到街道, from: s1}                 # continue from any earlier shot
notify_url: https://example.com/hooks/framerelay
"""


def board(*shots: object, **top: object) -> Storyboard:
    """A storyboard of *shots*, checked."""
    return check_storyboard({"model": "m", "shots": list(shots), **top})


def mistakes(document: object, **more: Any) -> list[str]:
    """``place: message`` of every mistake in *document*."""
    with pytest.raises(StoryboardInvalid) as caught:
        check_storyboard(document, **more)
    return [str(mistake) for mistake in caught.value.mistakes]


def mistakes_of_shots(*shots: object, **top: object) -> list[str]:
    return mistakes({"model": "m", "shots": list(shots), **top})


def mistakes_in(text: str | bytes, form: Any = "yaml") -> tuple[Mistake, ...]:
    with pytest.raises(StoryboardInvalid) as caught:
        read_storyboard(text, form=form)
    return caught.value.mistakes


def sources(storyboard: Storyboard) -> dict[str, str | None]:
    return {shot.id: shot.source for shot in storyboard.shots}


# --- what it means -----------------------------------------------------------------------------------------------


def test_the_storyboard_of_the_contract_means_what_it_says() -> None:
    """The example that users rely on, shot by shot."""
    storyboard = read_storyboard(CONTRACT, form="yaml")

    fields = {"resolution": "720p", "duration": 5, "ratio": "16:9", "seed": 12345}
    assert (storyboard.title, storyboard.model) == ("霓虹雨夜", "seedance-1.5-pro-1080p")
    assert (storyboard.budget_jobs, storyboard.notify_url) == (12, "https://example.com/hooks/framerelay")
    assert storyboard.shots == (
        Shot(
            id="s1",
            scene="street",
            origin="continue",
            source=None,
            input={"prompt": "跑车驶过街道，雨夜，霓虹，胶片颗粒", **fields},
            first_frame="path:./refs/street.png",
        ),
        Shot(
            id="s2",
            scene="street",
            origin="continue",
            source="s1",
            input={"prompt": "镜头拉近到驾驶座，雨夜，霓虹，胶片颗粒", **fields},
            gated=True,
        ),
        Shot(
            id="s3",
            scene="street",
            origin="bridge",
            source="s2",
            input={"prompt": "车停下，雨夜，霓虹，胶片颗粒", **fields},
            last_frame="path:./refs/stop.png",
            takes_wanted=2,
        ),
        Shot(
            id="s4",
            scene="street",
            origin="cut",
            source=None,
            input={"prompt": "俯拍，雨夜，霓虹，胶片颗粒", **fields},
            first_frame="path:./refs/top.png",
        ),
        Shot(
            id="s5",
            scene="street",
            origin="s1",
            source="s1",
            input={"prompt": "回到街道，雨夜，霓虹，胶片颗粒", **fields},
        ),
    )


def test_json_and_yaml_and_a_decoded_document_give_the_same_storyboard() -> None:
    """The form is the writer's choice."""
    storyboard = read_storyboard(CONTRACT.encode(), form="yaml")

    as_json = json.dumps(storyboard.document, ensure_ascii=True, indent="\t")
    assert read_storyboard(as_json, form="json") == storyboard
    assert check_storyboard(msgspec.json.decode(msgspec.json.encode(storyboard.document))) == storyboard


def test_shots_at_the_top_are_one_scene() -> None:
    """The short form: no scenes, no ids, no version."""
    storyboard = board({"prompt": "a"}, {"prompt": "b"}, {"prompt": "c", "from": "cut"})

    assert sources(storyboard) == {"s1": None, "s2": "s1", "s3": None}
    assert {shot.scene for shot in storyboard.shots} == {"main"}
    assert storyboard.title == "untitled"


def test_each_scene_begins_anew() -> None:
    """Scenes hang on nothing, so they go side by side, unless a shot names one of another scene."""
    shots = [{"prompt": "a"}, {"prompt": "b"}]
    scenes = [{"shots": shots}, {"id": "river", "shots": [*shots, {"prompt": "c", "from": "s2"}]}]
    storyboard = check_storyboard({"model": "m", "scenes": scenes})

    assert sources(storyboard) == {"s1": None, "s2": "s1", "s3": None, "s4": "s3", "s5": "s2"}
    assert [shot.scene for shot in storyboard.shots] == ["scene1", "scene1", "river", "river", "river"]
    run = start_run(storyboard, run_id=RunId("run_1"), now=5.0, terms=Terms())
    assert [step.shot for step in steps_due(run, 5.0)] == ["s1", "s3"]


def test_an_id_that_is_left_out_never_takes_one_that_was_written() -> None:
    """Numbers that are in use are skipped."""
    storyboard = board({"prompt": "a"}, {"prompt": "b", "id": "s1"}, {"prompt": "c"}, {"prompt": "d", "id": "s4"})

    assert [shot.id for shot in storyboard.shots] == ["s2", "s1", "s3", "s4"]
    storyboard = board({"prompt": "a"}, {"prompt": "b", "id": "s1"}, {"prompt": "c"}, {"prompt": "d", "id": "s2"})
    assert [shot.id for shot in storyboard.shots] == ["s3", "s1", "s4", "s2"]


def test_every_input_field_is_passed_on_as_it_was_written() -> None:
    """The whole sample of the jobs API, both names of the ratio included; whole numbers stay whole."""
    fields = {
        "resolution": "720p",
        "duration": 5,
        "aspect_ratio": "16:9",
        "ratio": "16:9",
        "seed": -1,
        "frames": 121,
        "camera_fixed": False,
        "watermark": True,
        "return_last_frame": False,
        "service_tier": "auto",
        "generate_audio": False,
        "execution_expires_after": 600,
        "draft": False,
        "reference_image_urls": ["https://example.com/ref.png", "data:image/png;base64,AAAA"],
        "reference_video_urls": ["https://example.com/ref.mp4", "asset://abc"],
    }

    in_shot = board({"prompt": "a", **fields}).shots[0].input
    in_defaults = board({"prompt": "a"}, defaults=fields).shots[0].input

    assert in_shot == in_defaults == {"prompt": "a", **fields}
    assert type(in_shot["duration"]) is int
    assert type(board({"prompt": "a", "duration": 2.5}).shots[0].input["duration"]) is float


def test_a_shot_overrides_the_defaults() -> None:
    """What is nearer to the shot wins."""
    shots = board({"prompt": "a", "duration": 10}, {"prompt": "b"}, defaults={"duration": 5, "seed": 1}).shots

    assert [shot.input for shot in shots] == [
        {"prompt": "a", "duration": 10, "seed": 1},
        {"prompt": "b", "duration": 5, "seed": 1},
    ]


def test_the_input_fields_are_those_that_the_client_sends() -> None:
    """Storyboard and wire format name the same fields of the same kinds."""
    accepts = {
        FieldKind.TEXT: {"str", "Literal"},
        FieldKind.URL: {"str"},
        FieldKind.URLS: {"list[str]"},
        FieldKind.WHOLE_NUMBER: {"int"},
        FieldKind.NUMBER: {"int", "float"},
        FieldKind.BOOLEAN: {"bool"},
    }
    wire = {field.encode_name: str(field.type) for field in msgspec.structs.fields(JobInput)}

    assert set(INPUT_FIELDS) == set(wire)
    for name, kind in INPUT_FIELDS.items():
        assert any(word in wire[name] for word in accepts[kind]), (name, kind, wire[name])


@pytest.mark.parametrize(
    ("prompt", "style", "joined"),
    [
        ("跑车驶过", "雨夜，霓虹", "跑车驶过，雨夜，霓虹"),
        ("A car drives by", "rainy night", "A car drives by, rainy night"),
        ("A car drives by.", "Rainy night.", "A car drives by. Rainy night."),
        ("跑车驶过。", "雨夜", "跑车驶过。雨夜"),
        ("镜头 42", "雨夜", "镜头 42，雨夜"),
        ("42", "neon", "42, neon"),
    ],
)
def test_the_style_follows_the_prompt_as_its_script_would_have_it(prompt: str, style: str, joined: str) -> None:
    """A Chinese prompt gets a Chinese comma; a sentence that ends is not given another end."""
    assert with_style(prompt, style) == joined
    assert board({"prompt": f"  {prompt}\n"}, style=style).shots[0].input["prompt"] == joined


def test_takes_and_picks_and_gates_are_read() -> None:
    """Several takes wait for a person's pick unless the first one will do."""
    shots = board({"prompt": "a", "takes": 8}, {"prompt": "b", "takes": 3, "pick": "first", "gate": "approve"}).shots

    assert [(shot.takes_wanted, shot.pick_first, shot.gated) for shot in shots] == [(8, False, False), (3, True, True)]


@pytest.mark.parametrize(
    "frame",
    [
        "https://example.com/a.png?x=1",
        "http://localhost:9000/a.png",
        "data:image/png;base64,iVBORw0KGgo=",
        "file:given/0123456789abcdef.png",
        "file:street.png",
    ],
)
def test_a_frame_that_needs_no_upload_stays_as_it_is(frame: str) -> None:
    """URLs, data and pictures that we have already; both spellings of the key mean the same."""
    for key in ("first_frame", "first_frame_url"):
        storyboard = board({"prompt": "a", key: frame})
        assert storyboard.shots[0].first_frame == frame
        assert storyboard.shots[0].source is None
        assert storyboard.local_files() == {}


def test_the_first_shot_of_a_scene_may_bring_its_own_frame() -> None:
    """Nothing is handed to it, so nothing is contradicted; the same holds for a bridge and for a cut."""
    frame = {"first_frame": "https://e.com/a.png"}
    last = {"last_frame": "https://e.com/b.png"}
    shots = [
        board({"prompt": "a", **frame}).shots[0],
        board({"prompt": "a", "from": "bridge", **frame, **last}).shots[0],
        board({"prompt": "a", "from": "cut", **frame, **last}).shots[0],
    ]

    assert [(shot.first_frame, shot.source) for shot in shots] == [("https://e.com/a.png", None)] * 3
    assert [shot.last_frame for shot in shots] == [None, "https://e.com/b.png", "https://e.com/b.png"]


def test_a_shot_can_put_the_references_of_the_defaults_away() -> None:
    """An empty list says so for one shot, without touching the defaults."""
    references = {"reference_image_urls": ["https://e.com/a.png"]}
    first, second = board({"prompt": "a"}, {"prompt": "b", "reference_image_urls": []}, defaults=references).shots

    assert first.input["reference_image_urls"] == ["https://e.com/a.png"]
    assert second.input["reference_image_urls"] == []


# --- files -------------------------------------------------------------------------------------------------------


def test_local_files_are_named_once_with_all_their_places() -> None:
    """The command uploads each file one time."""
    end = {"from": "bridge", "last_frame": "./a.png"}
    scenes = [{"first_frame": "./a.png", "shots": [{"prompt": "a"}, {"prompt": "b", **end}]}]
    storyboard = check_storyboard({"model": "m", "scenes": scenes})

    assert storyboard.local_files() == {"./a.png": ["scenes[0].first_frame", "scenes[0].shots[1].last_frame"]}


def test_uploaded_files_take_the_place_of_local_ones() -> None:
    """In the shots and in the document, which the receiver then reads without a mistake; the original is untouched."""
    local = read_storyboard(CONTRACT, form="yaml")
    names = {file: f"file:given/{number}.png" for number, file in enumerate(local.local_files())}
    uploaded = local.with_files(names)

    assert list(names) == ["./refs/street.png", "./refs/stop.png", "./refs/top.png"]
    assert uploaded.local_files() == {}
    assert check_storyboard(uploaded.document, allow_paths=False) == uploaded
    assert uploaded.shots[2].last_frame == "file:given/1.png"
    assert local.document["scenes"][0]["first_frame"] == "./refs/street.png"


def test_the_receiver_takes_no_paths() -> None:
    """A path means nothing on another machine, and must never be opened there."""
    shot = {"prompt": "a", "first_frame": "/etc/passwd"}

    (mistake,) = mistakes({"model": "m", "shots": [shot]}, allow_paths=False)

    assert mistake.startswith("shots[0].first_frame: ")
    assert "`framerelay run`" in mistake
    assert "/v1/files" in mistake


def test_no_run_starts_with_a_file_that_nobody_uploaded() -> None:
    """It would be paid for, and begin with the wrong picture."""
    with pytest.raises(StoryboardInvalid) as caught:
        start_run(board({"prompt": "a", "first_frame": "a.png"}), run_id=RunId("run_1"), now=1.0, terms=Terms())

    assert [mistake.place for mistake in caught.value.mistakes] == ["shots[0].first_frame"]


def test_a_run_begins_with_what_the_storyboard_says() -> None:
    """Title, model, budget, shots and address of the notification; its first submit is due at once."""
    storyboard = board({"prompt": "a"}, {"prompt": "b"}, title="T", budget={"jobs": 3}, notify_url="https://e.com/n")

    run = start_run(storyboard, run_id=RunId("run_1"), now=5.0, terms=Terms(retakes=0))

    assert (run.id, run.title, run.model, run.budget_jobs, run.notify_url) == ("run_1", "T", "m", 3, "https://e.com/n")
    assert (run.created_at, run.updated_at, run.terms, run.status) == (5.0, 5.0, Terms(retakes=0), RunStatus.RUNNING)
    assert run.shots == storyboard.shots
    assert [(step.name, step.shot) for step in steps_due(run, 5.0)] == [(StepName.SUBMIT, "s1")]


# --- mistakes ----------------------------------------------------------------------------------------------------


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
def test_a_mistake_in_a_shot_is_told_with_its_place(shots: list[object], place: str, words: str) -> None:
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
def test_a_mistake_at_the_top_is_told_with_its_place(change: dict[str, Any], place: str, words: str) -> None:
    """A key in the wrong room is sent to the right one; ``...`` leaves a key out."""
    document = {"model": "m", "shots": [{"prompt": "a"}], **change}

    (mistake,) = mistakes({key: value for key, value in document.items() if value is not ...})

    assert mistake.startswith(f"{place}: ")
    assert words in mistake


def test_mistakes_between_a_scene_and_its_first_shot_are_told() -> None:
    """A scene's frame that nothing would use, one that stands twice, ids that stand twice, keys of a shot."""
    shots = [{"prompt": "a", "from": "cut"}]
    scenes = [
        {"id": "a", "first_frame": "a.png", "shots": shots},
        {"id": "a", "first_frame": "a.png", "shots": [{"prompt": "b", "first_frame": "b.png"}]},
        {"prompt": "a", "seed": 1, "last_frame": "c.png", "shots": shots},
    ]

    told = mistakes({"model": "m", "scenes": scenes})

    assert [line.split(":")[0] for line in told] == [
        "scenes[0].first_frame",
        "scenes[1].id",
        "scenes[1].shots[0].first_frame",
        "scenes[2].prompt",
        "scenes[2].seed",
        "scenes[2].last_frame",
    ]


def test_references_beside_a_first_frame_are_passed_on() -> None:
    """Ark takes one or the other; the jobs API's own sample shows both, so the provider decides."""
    references = {"reference_image_urls": ["https://e.com/a.png"]}

    _, second = board({"prompt": "a"}, {"prompt": "b"}, defaults=references).shots

    assert second.source == "s1"
    assert second.input["reference_image_urls"] == ["https://e.com/a.png"]


def test_too_many_shots_are_refused_in_one_line() -> None:
    """A run is saved whole at every event, so its size has a limit."""
    assert len(board(*[{"prompt": "a"}] * SHOTS_MAX).shots) == SHOTS_MAX
    (told,) = mistakes_of_shots(*[{"prompt": "a"}] * (SHOTS_MAX + 1))
    assert told == f"shots[{SHOTS_MAX}]: this is shot number {SHOTS_MAX + 1}; a storyboard can have {SHOTS_MAX}"


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


@settings(max_examples=150, deadline=None)
@given(any_documents)
def test_whatever_is_written_is_a_storyboard_or_has_mistakes(document: dict[str, Any]) -> None:
    """Nothing else is ever raised; a sound one survives its own document, and every source stands earlier."""
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


@settings(max_examples=100, deadline=None)
@given(any_documents)
def test_the_form_of_a_document_changes_no_mistake(document: dict[str, Any]) -> None:
    """YAML, JSON and decoded: the same places in the same words."""
    text = json.dumps(document, indent=1)

    def told(read: Any) -> set[tuple[str, str]]:
        try:
            read()
        except StoryboardInvalid as error:
            return {(mistake.place, mistake.message) for mistake in error.mistakes}
        return set()

    decoded = told(lambda: check_storyboard(json.loads(text)))
    assert told(lambda: read_storyboard(text, form="json")) == decoded


# --- the docs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_samples_run_as_they_stand(sample: Path) -> None:
    """Every sample is sound, and every picture that it names lies beside it."""
    storyboard = read_storyboard(sample.read_bytes(), form="yaml")

    assert storyboard.shots
    assert [file for file in storyboard.local_files() if not (sample.parent / file).is_file()] == []


def test_the_samples_are_there() -> None:
    """The docs name them."""
    assert {"rain.yaml", "two_scenes.yaml"} <= {sample.name for sample in SAMPLES}


def test_every_storyboard_in_the_page_is_sound() -> None:
    """What a reader copies works: whole storyboards as they are, single shots in one around them."""
    text = (ROOT / "docs" / "storyboard.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)

    assert len(blocks) >= 5
    for block in blocks:
        if "hooks:" not in block:
            assert read_storyboard(block, form="yaml").shots


def test_the_page_explains_every_key() -> None:
    """A key without a line in the page cannot land."""
    text = (ROOT / "docs" / "storyboard.md").read_text(encoding="utf-8")
    keys = ["version", "title", "model", "budget", "defaults", "style", "scenes", "shots", "notify_url", "id", "from"]

    for key in [*keys, "first_frame", "last_frame", "takes", "pick", "gate", *INPUT_FIELDS]:
        assert f"`{key}`" in text, key


def test_the_messages_in_the_page_are_those_of_the_program() -> None:
    """Each line of its list of mistakes is made by the storyboard above it."""
    text = (ROOT / "docs" / "storyboard.md").read_text(encoding="utf-8").partition("## Mistakes")[2]
    example, told = re.search(r"```text\n(.*?)```\n.*?```text\n(.*?)```", text, re.S).groups()  # type: ignore[union-attr]

    assert "\n".join(str(mistake) for mistake in mistakes_in(example)) == told.strip()
