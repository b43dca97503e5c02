"""Hooks: the settings file that names them, and the runs that jobs of others become."""

import re
from pathlib import Path

import pytest

from framerelay.network.policy import TrustedHosts
from framerelay.runs import events
from framerelay.runs.errors import StoryboardInvalid
from framerelay.runs.machine import apply
from framerelay.runs.model import (
    Clip,
    Family,
    Frame,
    Problem,
    Run,
    RunId,
    RunStatus,
    ShotStatus,
    Take,
    TakeStatus,
    Terms,
)
from framerelay.runs.standing import jobs_left
from framerelay.runs.steps import StepName, steps_due
from framerelay.storyboards.hooks import START, Hook, hook_run, read_hooks
from tests.runs.films import joined

ROOT = Path(__file__).parents[2]
NOW = 1_000_000.0
CLIP = Clip(path="c", sha256="0", bytes=1, width=16, height=9, duration_s=5.04, frames=121)
FRAME = Frame(path="f", sha256="0", width=16, height=9)

INLINE = """\
hooks:
  night:
    title: From the notebook
    notify_url: https://example.com/done
    storyboard:
      model: m2
      title: Board
      notify_url: https://example.com/board
      budget: {jobs: 2}
      shots:
        - {prompt: The sun rises}
        - {prompt: Birds take off}
  archive:
"""


def write(folder: Path, text: str, name: str = "framerelay.yaml") -> Path:
    """A settings file, or one that it names."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def hook_of(folder: Path, storyboard: str) -> Hook:
    """A hook ``h`` with an inline storyboard, written in flow style."""
    return read_hooks(write(folder, f"hooks: {{h: {{storyboard: {storyboard}}}}}"))["h"]


def run_of(hook: Hook) -> Run:
    """The run that ``job_1`` becomes at *hook*."""
    return hook_run(hook, run_id=RunId("run_1"), job_id="job_1", model="m1", now=NOW, terms=Terms())


def mistakes_of(path: Path) -> list[str]:
    """Every mistake of the settings file *path*."""
    with pytest.raises(StoryboardInvalid) as failure:
        read_hooks(path)
    return [str(mistake) for mistake in failure.value.mistakes]


def collected(run: Run) -> Run:
    """*run* after the adopted job's clip was fetched."""
    render = events.Rendered(shot_id=START, take=1, job_ids=("job_1",), video_url="https://e.com/v.mp4")
    return apply(apply(run, render, NOW), events.Collected(shot_id=START, take=1, video=CLIP, last_frame=FRAME), NOW)


def test_a_missing_or_empty_file_names_no_hooks(tmp_path: Path) -> None:
    """Hooks work without any settings; the file is for those who want more."""
    assert read_hooks(tmp_path / "framerelay.yaml") == {}
    for text in ("", "# nothing yet\n", "hooks:\n", "hooks: {}\n"):
        assert read_hooks(write(tmp_path, text)) == {}


def test_hooks_are_read_with_what_they_say(tmp_path: Path) -> None:
    """A hook may have everything or nothing."""
    hooks = read_hooks(write(tmp_path, INLINE))

    assert list(hooks) == ["night", "archive"]
    assert hooks["archive"] == Hook(name="archive")
    night = hooks["night"]
    assert (night.name, night.title, night.notify_url) == ("night", "From the notebook", "https://example.com/done")
    assert night.storyboard is not None
    assert [(shot.id, shot.source) for shot in night.storyboard.shots] == [("s1", START), ("s2", "s1")]


def test_a_storyboard_is_found_next_to_the_settings_file(tmp_path: Path) -> None:
    """Wherever the program was started; YAML and JSON."""
    board = '{"model": "m", "shots": [{"prompt": "a"}]}'
    write(tmp_path, board, "boards/a.yaml")
    write(tmp_path, board, "boards/b.json")
    text = "hooks: {a: {storyboard: ./boards/a.yaml}, b: {storyboard: boards/b.json}}"

    hooks = read_hooks(write(tmp_path, text))

    assert hooks["a"].storyboard == hooks["b"].storyboard
    assert hooks["a"].storyboard is not None


def test_a_hook_that_could_tell_nobody_stops_the_start(tmp_path: Path) -> None:
    """In the file itself and in its storyboards; a host that is trusted may be told."""
    board = "{model: m, notify_url: 'http://10.0.0.1:9/x', shots: [{prompt: a}]}"
    path = write(tmp_path, f"hooks:\n  a: {{notify_url: 'https://localhost/x'}}\n  b: {{storyboard: {board}}}\n")

    with pytest.raises(StoryboardInvalid) as failure:
        read_hooks(path, TrustedHosts([]))
    assert [(each.place, each.line) for each in failure.value.mistakes] == [
        ("hooks.a.notify_url", 2),
        ("hooks.b.storyboard.notify_url", 3),
    ]
    assert read_hooks(path, TrustedHosts(["localhost", "10.0.0.1:9"])).keys() == {"a", "b"}


def test_every_mistake_of_every_hook_is_reported_with_its_place(tmp_path: Path) -> None:
    """In this file and in those that it names, all at once."""
    write(tmp_path, "model: m\nshots:\n  - {promt: a}\n", "bad.yaml")
    text = """\
hook: {}
hooks:
  night:
    titel: x
    storyboard: ./bad.yaml
  day one:
    notify_url: example.com
  gone: {storyboard: gone.yaml}
  folder: {storyboard: .}
  inline:
    storyboard:
      model: m
      shots:
        - {id: start, prompt: a}
        - {prompt: b, from: s9, seed: "1"}
  list: {storyboard: [a]}
  nought: 5
"""
    assert mistakes_of(write(tmp_path, text)) == [
        'line 1, hook: unknown key "hook" (did you mean "hooks"?)',
        'line 4, hooks.night.titel: unknown key "titel" (did you mean "title"?)',
        "line 5, hooks.night.storyboard: in ./bad.yaml, line 3, shots[0].promt: "
        'unknown key "promt" (did you mean "prompt"?)',
        'line 6, hooks.day one: "day one" cannot be a name here: use 1 to 40 of A-Z, a-z, 0-9, - and _',
        'line 7, hooks.day one.notify_url: expected a URL that begins with https:// or http://, found "example.com"',
        "line 8, hooks.gone.storyboard: gone.yaml cannot be read: no such file or directory",
        "line 9, hooks.folder.storyboard: . cannot be read: is a directory",
        'line 14, hooks.inline.storyboard.shots[0].id: the id "start" is taken already (capitals make no '
        "difference): choose another",
        'line 15, hooks.inline.storyboard.shots[1].from: there is no shot "s9"; write continue, bridge, cut or the id '
        "of an earlier shot",
        'line 15, hooks.inline.storyboard.shots[1].seed: expected a whole number, found the text "1": write 1 without '
        "quotes",
        "line 16, hooks.list.storyboard: expected text, found a list",
        "line 17, hooks.nought: expected keys with values, found the number 5",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("hooks: [", "line 1, framerelay.yaml: this is not YAML"),
        ("- a", "line 1, framerelay.yaml: expected keys with values, found a list"),
        ("hooks: {a: }\nhooks: {b: }", 'line 2, hooks: the key "hooks" stands here a second time'),
        ('hooks: {a: {storyboard: "\\0"}}', 'line 1, hooks.a.storyboard: "\\x00" is not the name of a file'),
    ],
)
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path, text: str, line: str) -> None:
    """One sentence with the name of the file that a person has to open."""
    (mistake,) = mistakes_of(write(tmp_path, text))

    assert mistake.startswith(line)


def test_a_settings_file_that_is_a_folder_is_named(tmp_path: Path) -> None:
    """What the system says, in one line."""
    assert mistakes_of(tmp_path) == [f"{tmp_path.name}: is a directory"]


def test_a_hook_takes_no_files_of_a_computer(tmp_path: Path) -> None:
    """Nobody is there to upload them when a job calls: it would fail after it was paid for."""
    text = "hooks: {h: {storyboard: {model: m, shots: [{prompt: a, first_frame: a.png}]}}}"

    (mistake,) = mistakes_of(write(tmp_path, text))

    assert "hooks.h.storyboard.shots[0].first_frame: a file on your computer" in mistake


def test_a_job_becomes_a_run_that_looks_it_up_at_once() -> None:
    """Without a storyboard: look up, keep, join; nothing is submitted."""
    run = run_of(Hook(name="night"))

    assert (run.id, run.title, run.model, run.hook, run.budget_jobs) == ("run_1", "night", "m1", "night", None)
    assert (run.created_at, run.updated_at, run.status) == (NOW, NOW, RunStatus.RUNNING)
    (start,) = run.shots
    assert (start.id, start.scene, start.origin, start.source, start.input) == (START, "main", "cut", None, {})
    assert start.status is ShotStatus.GENERATING
    assert start.takes == (
        Take(
            number=1,
            status=TakeStatus.GENERATING,
            intent="hook",
            submitted_at=NOW,
            due_at=NOW,
            job_ids=("job_1",),
        ),
    )
    assert [(step.name, step.shot_id, step.take) for step in steps_due(run, NOW)] == [(StepName.LOOK_UP, START, 1)]


def test_a_run_without_storyboard_ends_with_the_clip_as_its_film() -> None:
    """The film of one clip."""
    run = collected(run_of(Hook(name="night")))

    assert [step.name for step in steps_due(run, NOW)] == [StepName.JOIN]
    assert apply(run, joined(run), NOW).status is RunStatus.SUCCEEDED


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("retakes", [1, 3])
def test_a_job_that_failed_is_never_submitted_by_us(tmp_path: Path, family: Family, retakes: int) -> None:
    """It was not ours: we know no prompt, and nobody asked us to pay. The run says what the provider said."""
    night = read_hooks(write(tmp_path, INLINE))["night"]
    problem = Problem(code="InternalError", message="it broke", family=family)
    end = events.JobEnded(shot_id=START, take=1, job_ids=("job_1",), status=TakeStatus.FAILED, problem=problem)

    for hook in (night, Hook(name="night")):
        run = hook_run(hook, run_id=RunId("r"), job_id="job_1", model="m", now=NOW, terms=Terms(retakes=retakes))
        run = apply(run, end, NOW)
        assert steps_due(run, NOW + 1e6) == []
        assert run.status is RunStatus.FAILED
        assert run.error is not None
        assert (run.error.code, run.error.message) == ("InternalError", "shot start: it broke")


def test_the_storyboard_goes_on_from_the_jobs_last_frame(tmp_path: Path) -> None:
    """Its first shot waits for the job's clip, and is then submitted with the storyboard's model."""
    run = run_of(read_hooks(write(tmp_path, INLINE))["night"])

    assert (run.title, run.model, run.notify_url) == ("From the notebook", "m2", "https://example.com/done")
    assert [(shot.id, shot.scene, shot.source) for shot in run.shots] == [
        (START, "main", None),
        ("s1", "main", START),
        ("s2", "main", "s1"),
    ]
    assert [step.name for step in steps_due(run, NOW)] == [StepName.LOOK_UP]
    assert [(step.name, step.shot_id) for step in steps_due(collected(run), NOW)] == [(StepName.SUBMIT, "s1")]


def test_the_budget_of_a_hook_is_for_our_own_jobs(tmp_path: Path) -> None:
    """Two jobs are two submits, though the job that called counts as spent."""
    assert jobs_left(run_of(read_hooks(write(tmp_path, INLINE))["night"])) == 2


def test_title_and_address_come_from_the_storyboard_if_the_hook_has_none(tmp_path: Path) -> None:
    """The hook's own words come first, its name last."""
    run = run_of(hook_of(tmp_path, '{model: m, title: Board, notify_url: "https://e.com/b", shots: [{prompt: a}]}'))

    assert (run.title, run.notify_url) == ("Board", "https://e.com/b")
    assert run_of(hook_of(tmp_path, "{model: m, shots: [{prompt: a}]}")).title == "h"


@pytest.mark.parametrize(
    ("scenes", "sources"),
    [
        ("[{shots: [{prompt: a}]}, {shots: [{prompt: b}]}]", {"s1": START, "s2": None}),
        ("[{shots: [{prompt: a, from: bridge, last_frame: 'https://e.com/a'}]}]", {"s1": START}),
        ("[{shots: [{prompt: a, from: cut}, {prompt: b}]}]", {"s1": None, "s2": "s1"}),
        ("[{shots: [{prompt: a, first_frame: 'https://e.com/a'}]}]", {"s1": None}),
        ("[{first_frame: 'https://e.com/a', shots: [{prompt: a}]}]", {"s1": None}),
        ("[{shots: [{prompt: a, from: cut}]}, {shots: [{prompt: b, from: start}]}]", {"s1": None, "s2": START}),
    ],
)
def test_only_a_shot_that_continues_begins_from_the_job(
    tmp_path: Path, scenes: str, sources: dict[str, str | None]
) -> None:
    """The very first one, unless it has a beginning of its own; others by name."""
    run = run_of(hook_of(tmp_path, f"{{model: m, scenes: {scenes}}}"))

    assert {shot.id: shot.source for shot in run.shots[1:]} == sources


def test_the_hooks_in_the_page_are_sound(tmp_path: Path) -> None:
    """What a reader copies into framerelay.yaml works, from the folder of the checkout."""
    text = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S) if "hooks:" in block]
    (tmp_path / "docs").symlink_to(ROOT / "docs")

    hooks = read_hooks(write(tmp_path, block))

    assert list(hooks) == ["night", "day", "archive"]
    assert hooks["night"].storyboard is not None
