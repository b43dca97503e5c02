"""How text becomes a storyboard's values: YAML 1.2 and JSON, with lines, and never more than a machine can bear."""

import difflib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs.errors import Mistake, StoryboardInvalid
from framerelay.storyboards.documents import TEXT_BYTES_MAX, VALUES_MAX
from framerelay.storyboards.parts import NEAR_NAMES_MAX
from framerelay.storyboards.storyboard import read_storyboard


def mistakes_in(text: str | bytes, form: Any = "yaml") -> tuple[Mistake, ...]:
    """Every mistake of *text*, which must have one."""
    with pytest.raises(StoryboardInvalid) as failure:
        read_storyboard(text, form=form)
    return failure.value.mistakes


def test_yaml_is_that_of_1_2() -> None:
    """No text turns into a number, a date or a boolean behind the writer's back."""
    text = "model: no\ntitle: 2024-01-01\ndefaults: {ratio: 16:9, aspect_ratio: 21:9}\nshots: [{prompt: yes, id: on}]"

    storyboard = read_storyboard(text, form="yaml")

    assert (storyboard.model, storyboard.title) == ("no", "2024-01-01")
    assert storyboard.shots[0].input == {"prompt": "yes", "ratio": "16:9", "aspect_ratio": "21:9"}
    assert storyboard.shots[0].id == "on"


def test_numbers_and_quotes_and_escapes_are_read_as_yaml_has_them() -> None:
    """Hexadecimal seeds, quoted numbers, folded text, emoji by halves as JSON writers escape them."""
    text = (
        'model: "5"\nshots:\n  - seed: 0x10\n    duration: 5e0\n    id: !!str 7\n    prompt: >\n      a\n      b\n'
        '  - prompt: "\\ud83d\\ude00"\n'
    )

    first, second = read_storyboard(text, form="yaml").shots

    assert (first.id, first.input) == ("7", {"prompt": "a b", "seed": 16, "duration": 5.0})
    assert second.input["prompt"] == "😀"


def test_aliases_are_followed() -> None:
    """A mistake in what is used twice is reported at each place."""
    text = "model: m\nshots:\n  - &a {prompt: x, seed: 7}\n  - *a\n  - {prompt: *a}\n"

    (mistake,) = mistakes_in(text)

    assert str(mistake) == "line 5, shots[2].prompt: expected text, found a group of keys"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("model: m\nmodel: n\nshots: [{prompt: a}]", 2, 'the key "model" stands here a second time'),
        ("model: m\nshots:\n  - prompt: a\n    prompt: b\n", 4, 'the key "prompt" stands here a second time'),
        ("", 1, "there is nothing in it"),
        ("# only a comment\n", 1, "there is nothing in it"),
        ("model: a: b", 1, "put the text in quotes"),
        ("model:\n\tb: 1", 2, "indent with spaces"),
        ("a: {b: 1", 1, "closing }"),
        ("a: [b\nc: 1", 2, "closing ]"),
        ("a: {b: He says: stop}", 1, "a text with a colon in it has no quotes"),
        ('a: "b', 1, "never closed"),
        ("a: @b", 1, "put the text in quotes"),
        ("- a\nb: 1", 2, "not indented like its neighbors (it began in line 1)"),
        ('a: "\\q"', 1, "backslash"),
        ("a: 1\n---\nb: 1", 2, "a second document"),
        ("a: !path x", 1, "the tag !path"),
        ("a: *b", 1, "*b refers to nothing"),
        ("a: &b [*b]", 1, "*b refers to nothing"),
        ("a: 1\n? [x]\n: 1", 2, "a key must be a word"),
        ("a: 1\nb: \x07", 2, "control character"),
        (b"a: 1\nb: \xff", 2, "not UTF-8 text (byte 0xff)"),
        ("a: 1\nb: x".encode("utf-16"), 1, "not UTF-8 text"),
        ("\n" + "[" * 100, 2, "nested more than"),
        ("- 1\n" * (VALUES_MAX + 1), VALUES_MAX, "too much"),
    ],
)
def test_text_that_cannot_be_read_gets_one_plain_sentence(text: str | bytes, line: int, words: str) -> None:
    """With the line where it went wrong."""
    (mistake,) = mistakes_in(text)

    assert mistake.line == line
    assert words in mistake.message


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "there is nothing in it"),
        ('{\n"model": "m",\n}', 2, "this is not JSON: the last comma before } is one too many"),
        ('{"model": "m", "shots": [{"prompt": "a"},\n ]}', 1, "the last comma before ] is one too many"),
        ('{"model": "m"\n"shots": 1}', 2, "this is not JSON: expecting ',' delimiter"),
        ('{"model": "m"', 1, "this is not JSON: "),
        ('{"model": "m", "shots": [{"prompt": "a", "prompt": "b"}]}', 1, "a second time"),
        ('{"model": "m", "shots": [{"prompt": "a", "seed": NaN}]}', 1, "expected a whole number"),
        ('{"model": "m", "shots": [{"prompt": "a", "duration": 1e999}]}', 1, "ordinary number"),
        ('{"model": "m", "shots": [{"prompt": "a", "duration": ' + "9" * 5000 + "}]}", 1, "ordinary number"),
        ("[" * 100_000 + "]" * 100_000, None, "nested more than"),
    ],
)
def test_json_that_cannot_be_read_gets_one_plain_sentence(text: str, line: int | None, words: str) -> None:
    """With the line where it went wrong."""
    (mistake,) = mistakes_in(text, "json")

    assert mistake.line == line
    assert words in mistake.message


@pytest.mark.parametrize(
    ("text", "line", "sign", "instead"),
    [
        ("title：霓虹\nmodel：m\nshots：\n  - {prompt：跑车}\n", 1, "：", "a colon and a space"),
        ("model: m\nbudget：{jobs: 2}\nshots: [{prompt: a}]", 2, "：", "a colon and a space"),
        ("model: m\nshots：\n  - {prompt: a}", 2, "：", "a colon and a space"),
        ("model: m\nshots:\n  - {prompt：a}", 3, "：", "a colon and a space"),
        ("model: m\nshots:\n  - id: a\n    prompt：跑车\n", 4, "：", "a colon and a space"),
        ("model: m\nshots:\n  - id：a\n    prompt: 跑车\n", 3, "：", "a colon and a space"),
        ("model: m\nshots:\n  - {id: a，prompt: 跑车}", 3, "，", "a comma and a space"),
        ("model: m\nshots:\n  - {id: a, prompt: “跑车: 停下”}", 3, "“", "plain quotes"),
    ],
)
def test_a_sign_of_a_chinese_keyboard_is_named(text: str, line: int, sign: str, instead: str) -> None:
    """It looks like YAML's own, and the parser's complaint would be about something else."""
    mistake = mistakes_in(text)[0]

    assert (mistake.line, f'"{sign}" is not valid YAML here: write {instead}' in mistake.message) == (line, True), (
        mistake
    )


def test_wide_signs_in_a_text_are_the_text() -> None:
    """They are not a mistake, and no mistake is attributed to them."""
    text = "model: m\ntitle: 第一集：雨夜\nshots:\n  - {id: a, prompt: 跑车，停下：远景, seed: 1}\n"
    assert read_storyboard(text, form="yaml").shots[0].input["prompt"] == "跑车，停下：远景"
    (mistake,) = mistakes_in(text.replace("seed: 1}", "seed: 1"))
    assert "closing }" in mistake.message


def test_a_byte_order_mark_is_no_mistake() -> None:
    """Windows editors write one."""
    text = "title: 霓虹雨夜\nmodel: m\nshots: [{prompt: a}]\n"
    for marked_text in ("\ufeff" + text, ("\ufeff" + text).encode(), text.replace("\n", "\r\n")):
        assert read_storyboard(marked_text, form="yaml").title == "霓虹雨夜"
    assert read_storyboard('\ufeff{"model": "m", "shots": [{"prompt": "a"}]}', form="json").model == "m"


def test_a_few_lines_cannot_fill_the_memory() -> None:
    """Aliases of aliases and long texts used often are weighed as if they were written out."""
    laughs = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{after}: &{after} [{','.join([f'*{before}'] * 9)}]\n"
        for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    )
    long = f"a: &a {'x' * 100_000}\nb: [{','.join(['*a'] * 1000)}]\n"

    for text in (laughs, long):
        assert "too much for one storyboard" in mistakes_in(text)[0].message
    assert "larger than" in mistakes_in("x" * (TEXT_BYTES_MAX + 1))[0].message


@pytest.mark.parametrize("text", ["[" * 500_000, "a: " + "x y " * 130_000, "- &a x\n" * 70_000, "{a: " * 100_000])
def test_no_text_keeps_the_reader_busy_for_long(text: str, ends: Any) -> None:
    """About a second of one core at most; the parser alone would take minutes for the first."""
    with ends():
        mistakes_in(text)


def test_many_unknown_names_are_reported_without_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Near names are looked for among a few: compared with all, these would take five seconds."""
    compare, sizes = difflib.get_close_matches, list[int]()

    def counted(word: str, names: Any, **how: Any) -> list[str]:
        sizes.append(len(names))
        return compare(word, names, **how)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    name = "abcdefghij" * 3
    shots = [f'{{"id": "{name}{number}", "prompt": "a", "from": "{name}x{number}"}}' for number in range(480)]

    assert len(mistakes_in(f'{{"model": "m", "shots": [{",".join(shots)}]}}', "json")) == 480
    assert len(sizes) == 480
    assert max(sizes) == NEAR_NAMES_MAX


@settings(max_examples=100)
@given(st.text(alphabet=st.sampled_from(list("ab:-,{}[]&*!|>'\"%@#?~ \n\t\\0.5é😀")), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """The parser's own errors never come through, and a reported line exists."""
    for form in ("yaml", "json"):
        for mistake in mistakes_in(text, form):
            assert mistake.line is None or 1 <= mistake.line <= text.count("\n") + 1
