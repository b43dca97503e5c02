"""The page of the manual and its samples, against the program."""

import re
from pathlib import Path

import pytest

from framerelay.storyboards.inputs import INPUT_FIELDS
from framerelay.storyboards.storyboard import read_storyboard
from tests.storyboards.boards import mistakes_in

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "docs" / "samples").glob("*.yaml"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_samples_run_as_written(sample: Path) -> None:
    """Every sample is sound, and every picture that it names is next to it."""
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
    example, text_shown = re.search(r"```text\n(.*?)```\n.*?```text\n(.*?)```", text, re.S).groups()  # type: ignore[union-attr]

    assert "\n".join(str(mistake) for mistake in mistakes_in(example)) == text_shown.strip()
