"""Messages within a sentence and by themselves."""

import pytest

from framerelay.runs.text import clause, sentence


@pytest.mark.parametrize(
    ("message", "within", "alone"),
    [
        ("the clip has no picture", "the clip has no picture", "The clip has no picture."),
        ("HTTP 400: the prompt is empty.", "HTTP 400: the prompt is empty", "HTTP 400: the prompt is empty."),
        ("do you have a key?", "do you have a key?", "Do you have a key?"),
        ("framerelay.yaml: no such hook", "framerelay.yaml: no such hook", "framerelay.yaml: no such hook."),
        ("next_job is missing", "next_job is missing", "next_job is missing."),
        ("the key begins with sk_…", "the key begins with sk_…", "The key begins with sk_…"),
    ],
)
def test_a_message_is_finished_where_it_is_shown(message: str, within: str, alone: str) -> None:
    """Names are not touched, and what a provider ended itself gets no second stop."""
    assert (clause(message), sentence(message)) == (within, alone)
