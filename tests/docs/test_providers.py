"""What the manual says of providers and of the format of profiles is written from the profiles and the code."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from docs.site import profile_format, providers
from docs.site.profile_format import SECTIONS
from docs.site.profile_keys import KEYS, NOTES_ONLY
from framerelay.storyboards.documents import read_document
from framerelay.storyboards.parts import root_of
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_file import profile_names
from tests.test_architecture import MAY_IMPORT

ROOT = Path(__file__).parent.parent.parent
PROFILES = ROOT / "upstream" / "profiles"
SHOW_ONLY = ("upstream/profile.py", "upstream/profile_models.py", "cli/provider.py")
WITHOUT_A_NAMESAKE = {"expiry_query", "returns_last_frame"}
WRITTEN = {
    path.relative_to(ROOT).as_posix(): text for one in (providers, profile_format) for path, text in one.pages(ROOT)
}


@pytest.fixture(scope="module")
def schema() -> Any:
    return jsonschema_rs.validator_for(json.loads((ROOT / "docs" / "profile.schema.json").read_text(encoding="utf-8")))


def read(text: str) -> Any:
    """As an editor has it: keys are text, and so are dates."""
    return json.loads(json.dumps(root_of(read_document(text.encode(), form="yaml")).value))


@pytest.mark.parametrize("name", WRITTEN)
def test_it_is_written_from_the_profiles(name: str) -> None:
    """`make docs` writes it."""
    assert (ROOT / name).read_text(encoding="utf-8") == WRITTEN[name]


def test_every_shipped_profile_has_a_page_and_no_other_has() -> None:
    """In the manual's list of pages, too."""
    pages = {path.stem for path in (ROOT / "docs" / "providers").glob("*.md")}
    names = re.findall(r" providers/([a-z0-9-]+)\.md$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M)

    assert pages == set(profile_names())
    assert sorted(names) == sorted(profile_names())


def test_every_key_of_the_format_is_explained() -> None:
    """Each section has its place, each key its line, and no line is of a key that is gone."""
    structs = msgspec.json.schema(Profile)["$defs"]

    assert set(SECTIONS) == set(structs)
    assert {name: set(keys) for name, keys in KEYS.items()} == {
        name: set(one["properties"]) for name, one in structs.items()
    }
    assert {place for place in NOTES_ONLY if place.partition(".")[2] not in KEYS[place.partition(".")[0]]} == set()


def test_keys_called_notes_are_used_by_nothing() -> None:
    """As far as its name tells: those that stand for something else as well are not looked for."""
    places = {place.partition(".")[2]: place for place in NOTES_ONLY}
    files = [file for room in MAY_IMPORT for file in (ROOT / room).rglob("*.py")]
    names = {
        node.attr
        for file in files
        if file.relative_to(ROOT).as_posix() not in SHOW_ONLY
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }

    assert places.keys() >= WITHOUT_A_NAMESAKE
    assert names & WITHOUT_A_NAMESAKE == set()


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_fits_the_schema(schema: Any, name: str) -> None:
    """An editor finds nothing to mark in it."""
    schema.validate(read((PROFILES / f"{name}.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "change",
    [
        {"tittle": "t"},
        {"base": None},
        {"create": {"body": {}}},
        {"get": {"get": "/jobs/{id}", "absent": "gone"}},
        {"read": {"states": {"done": "success"}}},
        {"errors": [{"code": "X", "family": "ratelimit"}]},
        {"media": {"accepts": ["file"]}},
    ],
    ids=str,
)
def test_what_the_command_refuses_an_editor_marks(schema: Any, change: dict[str, Any]) -> None:
    """A misspelled key, a word that there is not, and what is missing."""
    right = {"profile": 1, "id": "a", "title": "A", "base": "https://a.example", "create": {"post": "/"}}
    right |= {"get": {"get": "/jobs/{id}"}}
    assert schema.is_valid(right)

    assert not schema.is_valid({name: value for name, value in {**right, **change}.items() if value is not None})


def test_a_profile_that_extends_another_need_not_say_the_rest(schema: Any) -> None:
    """The path of the create is in the other one."""
    assert schema.is_valid({"profile": 1, "id": "mine", "extends": "ark", "create": {"values": {"seed": "drop"}}})
