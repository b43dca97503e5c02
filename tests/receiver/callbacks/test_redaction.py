"""A body is kept without what opens anything, however it is written; the quick way takes out what the slow one does."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from framerelay.config.logs import redact, redact_queries
from framerelay.receiver.callbacks.redaction import all_without_secrets, without_secrets

OURS = ("a correct horse battery", "1234567890")
TOKEN = "dDpydW5fMTpzMTox.AAAAAAAAAAAAAAAAAAAAAAAA"
PIECES = [
    "https://clips.example/a.mp4?sig=1&x=2", "HTTP://user:pass@clips.example/#part", "/webhook/abc.def", TOKEN,
    "Bearer abc", "sk-abcdefghijklmnop", "task_abcdefghijkl", "fr_abcdefghijklmnop", "/media/run/film.mp4?expires=1",
    "signature=abc", "X-Tos-Credential%3dabc", "token", "cookie", "password", OURS[0], OURS[1], "%3fa", "é", "\u2028",
    " ", "\n", "?", "#", '"', "'", "\\", "/", ",", "}", ":", "a", "6", "_", "-", ".",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
documents = st.dictionaries(
    texts,
    st.recursive(texts | st.integers() | st.just(1234567890) | st.booleans() | st.none(), st.lists, max_leaves=4),
    max_size=4,
)


@settings(max_examples=150)
@given(document=documents, ascii_only=st.booleans(), spaced=st.booleans())
@example(document={"a": 1234567890}, ascii_only=True, spaced=True)
@example(document={"token": ["x"]}, ascii_only=True, spaced=True)
@example(document={"a": "https://clips.example/a.mp4?sig=1\u2028 b"}, ascii_only=False, spaced=False)
@example(document={"a": "https://clips.example/a.mp4?sig=1\n b"}, ascii_only=False, spaced=False)
@example(document={"a": "https://clips.example/a.mp4?sig=1\u2028b"}, ascii_only=False, spaced=False)
@example(document={"a": "https://clips.example/a.mp4?sig=1\u2028b"}, ascii_only=True, spaced=False)
def test_what_is_kept_says_what_the_redacted_document_says(
    document: dict[str, object], ascii_only: bool, spaced: bool
) -> None:
    """All texts at once, where they stand, or one by one: the same is taken out."""
    separators = (" , ", " : ") if spaced else (",", ":")
    body = json.dumps(document, ensure_ascii=ascii_only, separators=separators).encode()

    result = without_secrets(body, document, secrets=OURS)

    assert json.loads(result) == redact(document, secrets=OURS)


@settings(max_examples=100)
@given(many=st.lists(documents, min_size=1, max_size=4), ascii_only=st.booleans())
@example(
    many=[{"a": "https://clips.example/a.mp4?sig=1"}, {"b": ["https://clips.example/b.mp4?sig=2&x=3"]}], ascii_only=True
)
def test_many_bodies_are_kept_as_each_alone(many: list[dict[str, object]], ascii_only: bool) -> None:
    """Or want a closer look: nothing gets from one to another, and one that hides something hides no other."""
    bodies = [json.dumps(document, ensure_ascii=ascii_only).encode() for document in many]
    alone = [without_secrets(body, document, secrets=OURS) for body, document in zip(bodies, many, strict=True)]

    together = all_without_secrets(bodies, secrets=OURS)

    assert list(together) in ([None] * len(many), alone)


def test_a_body_is_the_same_whatever_arrives_with_it() -> None:
    """What is not JSON may hold anything, even what separates the bodies."""
    plain = b'{"a":"https://clips.example/a.mp4?sig=1"}'
    for stranger in (b"\0", b'{"a":"https://clips.example/a.mp4?', b'"https://clips.example', b"\xff", b'?"', b""):
        for bodies in ([plain, stranger], [stranger, plain]):
            results = all_without_secrets(bodies, secrets=OURS)
            assert results[bodies.index(plain)] in (None, b'{"a":"https://clips.example/a.mp4?[query]"}')

    assert all_without_secrets([plain, plain], secrets=OURS) == [b'{"a":"https://clips.example/a.mp4?[query]"}'] * 2


@pytest.mark.parametrize("body", [b'{"id" : "job_1",\n "n":1.50}', b'{"url":"https:\\/\\/a.example\\/b"}'])
def test_a_body_that_opens_nothing_is_kept_unchanged(body: bytes) -> None:
    """Byte by byte, since a person may want to see just that."""
    assert without_secrets(body, json.loads(body), secrets=OURS) == body


@pytest.mark.parametrize(
    "body",
    [
        '{"id":"job_1","object":"job","status":"succeeded","created":1795348800,'
        '"output":{"task_id":"cgt-1","status":"succeeded","videos":["https://ark.example/a.mp4?X-Tos-Signature=a"]}}',
        '{"id":"cgt-1","model":"seedance","status":"succeeded","content":{"video_url":"https://ark.example/a.mp4?a=b",'
        '"last_frame_url":"https://ark.example/a.png?c=d"},"usage":{"completion_tokens":246840,"total_tokens":246840},'
        '"created_at":1743414619,"updated_at":1743414673,"seed":10,"resolution":"720p","ratio":"16:9","duration":5}',
        r'{"id":"job_1","url":"https://ark.example/a.mp4?X-Tos-Date=a\u0026X-Tos-Signature=b\u0026c=d"}',
    ],
)
def test_what_providers_send_is_read_at_a_glance(body: str) -> None:
    """Both documented bodies, and what Go writes; else thousands a second would be looked at closely."""
    assert redact_queries(body) == redact(body)
