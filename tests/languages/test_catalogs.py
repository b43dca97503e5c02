"""The catalogs: nothing missing, nothing unused, names that agree; and each message is found again in a sentence."""

import re
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message

from docs.site.catalogs import catalog_of, compiled, path_of, source_of, template, updated
from docs.site.messages import TITLES, messages_in
from framerelay.languages.catalogs import translate
from framerelay.languages.reader import CHINESE
from framerelay.languages.sentences import MEASURES, PLACE
from framerelay.upstream.profile_file import load_shipped, profile_names

# What only English grammar needs: "s", "is" and "are".
GRAMMAR = re.compile(r"(en|s|is_|its|wait|are|they|adds)[0-9]?")
FOREIGN = ("click/", "receiver/page/templates/")
NAME = re.compile(r"%\((\w+)\)s|\{(\w+)(?:![rs])?\}")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return catalog_of(CHINESE)


def ours(catalog: Catalog) -> list[tuple[str, str]]:
    """The messages that are found again in sentences: English and Chinese."""
    return [
        (message.id, message.string)
        for message in catalog
        if isinstance(message.id, str) and message.id and not message.locations[0][0].startswith(FOREIGN)
    ]


def test_nothing_is_missing_and_nothing_unused(catalog: Catalog) -> None:
    """If this is red: make catalogs, then translate what is new."""
    assert {message.id for message in catalog if message.id} == {message.id for message in template() if message.id}


def test_everything_is_translated(catalog: Catalog) -> None:
    bare = [message.id for message in catalog if message.id and not all(_strings(message))]

    assert bare == []
    assert [message.id for message in catalog if message.fuzzy and message.id] == []


def test_names_agree(catalog: Catalog) -> None:
    """No value is lost, and none is asked for that there is not; English grammar alone is left out."""
    wrong = []
    for message in catalog:
        english = _names(" ".join(message.id) if isinstance(message.id, tuple) else message.id)
        for other in _strings(message) if message.id else ():
            missing = {name for name in english - _names(other) if not GRAMMAR.fullmatch(name)}
            if _names(other) - english or (missing and not isinstance(message.id, tuple)):
                wrong.append((message.id, other))

    assert wrong == []


def test_the_files_are_as_they_are_written(catalog: Catalog) -> None:
    """`make catalogs` changes nothing, and what is read is what was translated."""
    source = path_of(CHINESE, "po").read_bytes()

    assert source == source_of(updated(CHINESE))
    assert path_of(CHINESE, "mo").read_bytes() == compiled(source, CHINESE)


def test_each_message_is_found_again(catalog: Catalog) -> None:
    """A sentence that was made of a message is distinguished from all others."""
    misses = []
    for english, other in ours(catalog):
        values = {name: f"{number}" for number, name in enumerate(PLACE.findall(english), start=1)}
        values = {name: v if name.rstrip("0123456789") in MEASURES else f"V{v}" for name, v in values.items()}
        sentence, expected = _filled(english, values), _filled(other, values)
        if translate(sentence, CHINESE).replace(" ", "") != expected.replace(" ", ""):
            misses.append((sentence, translate(sentence, CHINESE), expected))

    assert misses == []


def test_titles_that_are_translated_are_those_of_profiles() -> None:
    """A profile that gets another title would else be called as in English again."""
    assert set(TITLES) <= {load_shipped(name).title for name in profile_names()}
    assert translate("Kling (new API, API key)", CHINESE).startswith("可灵")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('raise NotFound(f"there is no run {run_id}")', "there is no run {run_id}"),
        ("f\"{count} shot{'s' * (count != 1)} left\"", "{count} shot{en} left"),
        ("f\"{jobs}{', and more' if more else ''} to pay for\"", "{jobs_more} to pay for"),
        ("f\"{number_of('job', n)} in flight\"", "{jobs} in flight"),
        ('f"for {cost:.2f} {take.id}, {take.error.message}"', "for {cost} {take_id}, {error_message}"),
        ('f" of the {left:>3} left"', " of the {left} left"),
        ('f"{a.b} or {b.b} is done"', "{b} or {b2} is done"),
    ],
    ids=str,
)
def test_a_formatted_string_is_a_message_with_names(source: str, message: str) -> None:
    assert message in [message_of for _, message_of in messages_in(source)]


@pytest.mark.parametrize(
    "source",
    [
        'def f():\n    """Say what is wrong with it."""',
        'log.info("run_started", reason=str(x))',
        'raise RuntimeError("this cannot be at all")',
        'x: "list of strings" = []',
        're.compile("any word here")',
        'assert x, "what was not thought of"',
        "f\"{data['run of']}\"",
    ],
    ids=str,
)
def test_what_nobody_reads_is_no_message(source: str) -> None:
    assert list(messages_in(source)) == []


def _filled(text: str, values: dict[str, str]) -> str:
    return PLACE.sub(lambda place: values.get(place[1], place[0]), text)


def _strings(message: Message) -> list[str]:
    string: Any = message.string
    return [string] if isinstance(string, str) else list(string)


def _names(text: str) -> set[str]:
    return {one or other for one, other in NAME.findall(text)}
