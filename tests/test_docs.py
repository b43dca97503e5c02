"""What the docs say is what the program does."""

import re
from dataclasses import replace
from pathlib import Path

from click import Command

from framerelay.cli.main import cli
from framerelay.config.reference import settings_page
from framerelay.config.settings import setting_specs
from framerelay.runs import events
from framerelay.runs.machine import apply, begin
from framerelay.runs.model import (
    Clip,
    Family,
    Frame,
    Problem,
    Run,
    RunId,
    RunStatus,
    Shot,
    ShotStatus,
    TakeStatus,
    Terms,
)

DOCS = Path(__file__).parent.parent / "docs"


def test_the_settings_page_is_written_from_the_settings() -> None:
    """`make docs` writes it; a setting without a line cannot land."""
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings_page()


def test_a_default_is_written_as_a_person_would() -> None:
    """Nothing as a dash, whatever its type; a whole number without a fraction, however large."""
    defaults = re.findall(r"^\| `\w+` \| (.*?) \|", settings_page(), re.M)
    assert len(defaults) > 20
    assert [words for words in defaults if not re.fullmatch(r"–|`[\w./]+`( s| bytes)?", words) or ".0`" in words] == []


def test_every_setting_says_what_it_does() -> None:
    """A person can decide from its line."""
    for _, spec, _ in setting_specs():
        assert len(spec.about) > 25, spec.variable


def test_every_command_and_option_explains_itself() -> None:
    """`--help` is documentation, too."""
    for name, command in cli.commands.items():
        assert isinstance(command, Command)
        assert command.help, name
        for option in command.params:
            assert option.param_type_name == "argument" or getattr(option, "help", None), (name, option.name)


def test_the_readme_names_every_command() -> None:
    """Nothing is hidden from a newcomer: README or docs/start.md name each command."""
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8") + (DOCS / "start.md").read_text(encoding="utf-8")

    assert [name for name in cli.commands if f"framerelay {name}" not in text] == []


def test_the_states_are_explained() -> None:
    """Every state of a run and a shot has its row in docs/lifecycle.md."""
    text = (DOCS / "lifecycle.md").read_text(encoding="utf-8")

    for status in [*RunStatus, *ShotStatus]:
        assert f"`{status.value}`" in text, status


def test_the_graph_of_a_take_is_the_one_in_the_code() -> None:
    """Every edge drawn can be walked, and every edge that can be walked is drawn."""
    edges = set(
        re.findall(r"^ +(\[\*\]|\w+) --> (\[\*\]|\w+):", (DOCS / "lifecycle.md").read_text(encoding="utf-8"), re.M)
    )

    assert _edges_of_the_machine() == edges


def _edges_of_the_machine() -> set[tuple[str, str]]:
    """Walk from a new run through every event in every state that can be reached, at two moments."""
    shot = Shot(id="s", scene="a", origin="continue", source=None, input={"prompt": "x"})
    first = begin(
        Run(id=RunId("r"), title="t", model="m", created_at=0, updated_at=0, shots=(shot,), terms=Terms(retakes=0))
    )
    edges: set[tuple[str, str]] = set()
    variants, todo = set(), [first]
    while todo:
        run = todo.pop()
        for event in _every_event():
            for now in (1.0, 1e9):
                after = apply(run, event, now)
                before_status, after_status = _status(run), _status(after)
                if before_status != after_status:
                    edges.add((before_status, after_status))
                variant = (after_status, *((take.adopted, take.intent) for take in after.shots[0].takes))
                if variant not in variants and len(after.shots[0].takes) < 2:
                    variants.add(variant)
                    todo.append(replace(after, cancelled=False))
    return edges


def _status(run: Run) -> str:
    takes = run.shots[0].takes
    return takes[0].status.value if takes else "[*]"


def _every_event() -> list[events.Event]:
    about = {"shot_id": "s", "take": 1}
    problem = Problem(code="x", message="x", family=Family.UNKNOWN)
    clip = Clip(path="c", sha256="0", bytes=1, width=1, height=1, duration_s=1, frames=1)
    frame = Frame(path="f", sha256="0", width=1, height=1)
    end_events = [
        events.JobEnded(shot_id="s", take=1, job_ids=("j",), status=status, problem=problem)
        for status in (TakeStatus.FAILED, TakeStatus.EXPIRED, TakeStatus.CANCELLED)
    ]
    return [
        events.Submitting(**about, intent="i", seed=None, first_frame=None),  # type: ignore[arg-type]
        events.Submitted(**about, job_id="j"),  # type: ignore[arg-type]
        events.SubmitRefused(**about, problem=problem),  # type: ignore[arg-type]
        events.SubmitRefused(**about, problem=replace(problem, family=Family.ACCOUNT)),  # type: ignore[arg-type]
        events.SubmitPutOff(**about, problem=problem, until=5.0),  # type: ignore[arg-type]
        events.SubmitLost(**about, problem=problem),  # type: ignore[arg-type]
        events.JobSeen(**about, job_ids=("j",), word="running"),  # type: ignore[arg-type]
        events.Rendered(**about, job_ids=("j",), video_url="v"),  # type: ignore[arg-type]
        *end_events,
        events.PollFailed(**about, problem=problem, gone=True),  # type: ignore[arg-type]
        events.Collected(**about, video=clip, last_frame=frame),  # type: ignore[arg-type]
        events.Collected(**about, video=replace(clip, kept=False), last_frame=frame),  # type: ignore[arg-type]
        events.ClipKept(**about, sha256="0"),  # type: ignore[arg-type]
        events.KeepPutOff(**about, sha256="0", problem=problem, until=5.0),  # type: ignore[arg-type]
        events.ClipLost(**about, sha256="0"),  # type: ignore[arg-type]
        events.CollectPutOff(**about, problem=problem, until=5.0, ask_again=True),  # type: ignore[arg-type]
        events.CollectFailed(**about, problem=problem),  # type: ignore[arg-type]
        events.WorkerStarted(),
        events.Resumed(),
        events.Adopted(shot_id="s", job_id="j"),
        events.Retaken(shot_id="s"),
        events.Elapsed(),
        events.RunCancelled(),
    ]


def test_every_row_of_the_checklist_has_its_tests() -> None:
    """All 35 rows; each file and each test that the security pages name is there."""
    pages = [DOCS / "security.md", *sorted((DOCS / "security").glob("*.md"))]
    rows = re.findall(r"^\| (\d+) \|.*$", pages[0].read_text(encoding="utf-8"), re.M)
    assert rows == [str(number) for number in range(1, 36)]
    for line in pages[0].read_text(encoding="utf-8").splitlines():
        if re.match(r"\| \d+ \|", line):
            assert re.search(r"`tests/[a-z_/]+\.py`", line), line
    sources = {path: path.read_text(encoding="utf-8") for path in (DOCS.parent / "tests").rglob("*.py")}
    names = {name for text in sources.values() for name in re.findall(r"def (test_\w+)", text)}
    files = {path.relative_to(DOCS.parent).as_posix() for path in sources} | {path.name for path in sources}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for file in re.findall(r"`((?:tests/[a-z_/]+/)?test_[a-z_]+\.py)", text):
            assert file in files, (page.name, file)
        for name in re.findall(r"\b(test_[a-z0-9_]+)\b(?!\.py)", text):
            assert name in names, (page.name, name)
        for link in re.findall(r"\]\(([a-z/.]+\.md)\)", text):
            assert (page.parent / link).is_file(), (page.name, link)
