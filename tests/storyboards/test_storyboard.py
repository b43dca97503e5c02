"""What a person writes: every key becomes what it says, and all mistakes are reported at once, with their places."""

import json

import msgspec
import pytest

from framerelay.runs.errors import StoryboardInvalid
from framerelay.runs.model import RunId, RunStatus, Shot, Terms
from framerelay.runs.steps import StepName, steps_due
from framerelay.storyboards.inputs import INPUT_FIELDS, FieldKind
from framerelay.storyboards.storyboard import check_storyboard, read_storyboard, start_run
from framerelay.storyboards.style import with_style
from framerelay.upstream.wire import JobInput
from tests.storyboards.boards import board, mistakes, sources

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


def test_each_scene_begins_afresh() -> None:
    """Scenes hang on nothing, so they go side by side, unless a shot names one of another scene."""
    shots = [{"prompt": "a"}, {"prompt": "b"}]
    scenes = [{"shots": shots}, {"id": "river", "shots": [*shots, {"prompt": "c", "from": "s2"}]}]
    storyboard = check_storyboard({"model": "m", "scenes": scenes})

    assert sources(storyboard) == {"s1": None, "s2": "s1", "s3": None, "s4": "s3", "s5": "s2"}
    assert [shot.scene for shot in storyboard.shots] == ["scene1", "scene1", "river", "river", "river"]
    run = start_run(storyboard, run_id=RunId("run_1"), now=5.0, terms=Terms())
    assert [step.shot_id for step in steps_due(run, 5.0)] == ["s1", "s3"]


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
    ("prompt", "style", "result"),
    [
        ("跑车驶过", "雨夜，霓虹", "跑车驶过，雨夜，霓虹"),
        ("A car drives by", "rainy night", "A car drives by, rainy night"),
        ("A car drives by.", "Rainy night.", "A car drives by. Rainy night."),
        ("跑车驶过。", "雨夜", "跑车驶过。雨夜"),
        ("镜头 42", "雨夜", "镜头 42，雨夜"),
        ("42", "neon", "42, neon"),
    ],
)
def test_the_style_follows_the_prompt_as_its_script_would_have_it(prompt: str, style: str, result: str) -> None:
    """A Chinese prompt gets a Chinese comma; a sentence that ends is not given another end."""
    assert with_style(prompt, style) == result
    assert board({"prompt": f"  {prompt}\n"}, style=style).shots[0].input["prompt"] == result


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
    uploaded_board = local.with_files(names)

    assert list(names) == ["./refs/street.png", "./refs/stop.png", "./refs/top.png"]
    assert uploaded_board.local_files() == {}
    assert check_storyboard(uploaded_board.document, allow_paths=False) == uploaded_board
    assert uploaded_board.shots[2].last_frame == "file:given/1.png"
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
    with pytest.raises(StoryboardInvalid) as failure:
        start_run(board({"prompt": "a", "first_frame": "a.png"}), run_id=RunId("run_1"), now=1.0, terms=Terms())

    assert [mistake.place for mistake in failure.value.mistakes] == ["shots[0].first_frame"]


def test_a_run_begins_with_what_the_storyboard_says() -> None:
    """Title, model, budget, shots and address of the notification; its first submit is due at once."""
    storyboard = board({"prompt": "a"}, {"prompt": "b"}, title="T", budget={"jobs": 3}, notify_url="https://e.com/n")

    run = start_run(storyboard, run_id=RunId("run_1"), now=5.0, terms=Terms(retakes=0))

    assert (run.id, run.title, run.model, run.budget_jobs, run.notify_url) == ("run_1", "T", "m", 3, "https://e.com/n")
    assert (run.created_at, run.updated_at, run.terms, run.status) == (5.0, 5.0, Terms(retakes=0), RunStatus.RUNNING)
    assert run.shots == storyboard.shots
    assert [(step.name, step.shot_id) for step in steps_due(run, 5.0)] == [(StepName.SUBMIT, "s1")]
