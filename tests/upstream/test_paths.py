"""What a path of a profile finds, and what it does not."""

from typing import Any

import pytest

from framerelay.upstream.paths import read_path

BODY: dict[str, Any] = {
    "id": "job_1",
    "data": {"id": 7, "none": None, "empty": "", "no": False, "zero": 0, "list": []},
    "output": ["first", "second"],
    "outputs": [{"type": "image", "url": "i"}, {"type": "video", "url": "v"}, "odd"],
    "nested": [[{"url": "deep"}]],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", "job_1"),
        ("data.id", 7),
        ("output[1]", "second"),
        ("output[2]", None),
        ("outputs[type=video].url", "v"),
        ("outputs[ type = video ].url", "v"),
        ("outputs[type=sound].url", None),
        ("outputs[0].url", "i"),
        ("nested[0][0].url", "deep"),
        ("none|id", "job_1"),
        ("data.none|data.empty|data.list|data.id", 7),
        ("data.no", False),
        ("data.zero", 0),
        ("output.id", None),
        ("id[0]", None),
        ("data.id.deeper", None),
    ],
)
def test_a_path_goes_down_by_keys_positions_and_values(path: str, value: object) -> None:
    """Nothing, an empty text and an empty list say nothing; no and zero do."""
    assert read_path(path).find(BODY, BODY) == value


def test_a_path_can_begin_at_the_whole_body() -> None:
    """Where the record is deeper."""
    record = BODY["data"]
    assert read_path("id").find(record, BODY) == 7
    assert read_path("@.id").find(record, BODY) == "job_1"
    assert read_path("@.outputs[type=video].url|id").find(record, BODY) == "v"
    assert read_path("@.gone|id").find(record, BODY) == 7
    assert read_path("@").find(record, BODY) == BODY
    assert list(read_path("id|@.id|@.gone").all(record, BODY)) == [7, "job_1"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "a path names a value"),
        ("a..b", "stops making sense"),
        ("a.", "ends with a dot"),
        ("a|", "nothing between two bars"),
        ("a[0", "is not closed"),
        ("a[0]b", "a dot is missing"),
        ("a[x]", "stops making sense"),
    ],
)
def test_an_invalid_path_is_reported(path: str, words: str) -> None:
    """The check of a profile shows them next to the line."""
    with pytest.raises(ValueError, match=words.replace("[", r"\[")):
        read_path(path)


@pytest.mark.parametrize("body", [None, "text", 3, [], [[]], {"data": []}, {"output": {"0": "x"}}])
def test_a_body_of_another_shape_has_nothing_there(body: object) -> None:
    """And no error."""
    for path in ("data.id", "output[0]", "outputs[type=video].url", "@.data.id"):
        assert read_path(path).find(body, body) is None
