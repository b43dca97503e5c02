"""docs/storyboard.schema.json, by which editors complete and check storyboards."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from framerelay.api.storyboard_schema import schema_file

DOCS = Path(__file__).parent.parent.parent / "docs"
SAMPLES = sorted([*(DOCS / "samples").glob("*.yaml"), DOCS.parent / "cli" / "demo.yaml"])


def storyboards_in_the_docs() -> list[Any]:
    """Every YAML block of README and manual that is a storyboard."""
    texts = [page.read_text(encoding="utf-8") for page in [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]]
    blocks = [block for text in texts for block in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)]
    return [pytest.param(block, id=f"block{n}") for n, block in enumerate(blocks) if re.search(r"^model:", block, re.M)]


@pytest.fixture(scope="module")
def schema() -> Any:
    return jsonschema_rs.validator_for(json.loads((DOCS / "storyboard.schema.json").read_text(encoding="utf-8")))


def read(text: str) -> Any:
    return YAML(typ="safe").load(text)


def test_the_schema_is_written_from_the_code() -> None:
    """`make docs` writes it."""
    assert (DOCS / "storyboard.schema.json").read_text(encoding="utf-8") == schema_file()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_sample_fits_and_names_the_schema(schema: Any, sample: Path) -> None:
    """An editor finds nothing to mark in it; those in docs/samples show where the schema is."""
    text = sample.read_text(encoding="utf-8")

    schema.validate(read(text))

    if sample.parent.name == "samples":
        match = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
        assert match, "its first line names the schema"
        assert (sample.parent / match[1]).resolve() == DOCS / "storyboard.schema.json"


@pytest.mark.parametrize("block", storyboards_in_the_docs())
def test_a_storyboard_in_the_docs_fits(schema: Any, block: str) -> None:
    """What the manual shows can be copied."""
    schema.validate(read(block))


@pytest.mark.parametrize(
    "change",
    [
        {"titel": "t"},
        {"budget": {"job": 3}},
        {"defaults": {"durration": 5}},
        {"defaults": {"duration": "5"}},
        {"shots": [{"promt": "p"}]},
        {"shots": [{"prompt": "p", "gate": "yes"}]},
        {"shots": [{"prompt": "p", "takes": 9}]},
        {"scenes": [{"shots": [{"prompt": "p"}], "frist_frame": "f.png"}], "shots": None},
    ],
    ids=str,
)
def test_a_misspelt_key_is_marked(schema: Any, change: dict[str, Any]) -> None:
    """A key or value that the receiver would refuse is refused in the editor."""
    right = {"model": "m", "shots": [{"prompt": "p"}]}
    assert schema.is_valid(right)

    assert not schema.is_valid({name: value for name, value in {**right, **change}.items() if value is not None})
