"""A run in words: what is hard to reach from outside."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from framerelay.api import shapes
from framerelay.api.words import cost_words, shot_words, usual_s
from framerelay.cli.outlook import outlook
from framerelay.cli.picture import PictureLine, live_lines, whole_lines
from framerelay.runs.text import duration, printable
from tests.api import example_shapes
from tests.api.example_shapes import FILM, VIDEO

NOW = 1_000.0


def a_take(status: str, *, since_s: float = 0.0, **more: Any) -> shapes.Take:
    """A take that was submitted so long ago."""
    return example_shapes.a_take(status, **{"submitted": NOW - since_s, "next_look": NOW + 60, **more})


def a_shot(name: str, status: str, *takes: shapes.Take, **more: Any) -> shapes.Shot:
    """A shot whose first take is picked."""
    return example_shapes.a_shot(name, status, *takes, **{"picked": 1, **more})


def a_run(status: str, *shots: shapes.Shot, **more: Any) -> shapes.Run:
    """A run that leads to two more jobs."""
    return example_shapes.a_run(status, *shots, **{"updated": int(NOW), "submits_to_come": 2, **more})


DONE = a_shot("s1", "done", a_take("done", since_s=50, rendered=NOW - 10, video=VIDEO))
LOST = {"code": "outcome_unknown", "message": "nobody knows", "family": "server"}
FULL = {"code": "storage_failed", "message": "our disk is full.", "family": "server"}


def test_what_may_have_been_paid_for_is_shown_though_the_run_was_cancelled() -> None:
    """A job that is adopted by a wrong id, too: else nothing would seem to come of the decision."""
    shot = a_shot("s1", "cancelled", a_take("unsure", error=LOST))

    assert shot_words(a_run("cancelled", shot), shot, now=NOW) == "cancelled; nobody knows"
    assert shot_words(a_run("cancelled"), a_shot("s2", "cancelled"), now=NOW) == "cancelled"


@pytest.mark.parametrize(
    ("take", "words"),
    [
        (a_take("submitting", since_s=2), "being submitted, 2 s"),
        (a_take("generating", since_s=2, provider_status="queued"), "queued at the provider, 2 s"),
        (a_take("generating", since_s=0.5), "generating, about 40 s"),
        (a_take("generating", since_s=12), "generating, 12 s of about 40 s"),
        (a_take("generating", since_s=90), "generating, 1:30, usually about 40 s"),
        (a_take("collecting", since_s=43, rendered=NOW - 3), "fetching the clip and its last frame, 3 s"),
        (a_take("collecting", error=FULL), "fetching put off: our disk is full; again in 1:00"),
    ],
)
def test_a_take_under_way_says_its_state_its_seconds_and_what_is_usual(take: shapes.Take, words: str) -> None:
    """Earlier takes of the run give the expectation."""
    shot = a_shot("s2", take.status, take, source="s1")
    assert usual_s(a_run("running", DONE, shot)) == 40
    assert shot_words(a_run("running", DONE, shot), shot, now=NOW) == words


@pytest.mark.parametrize(
    ("next_try", "words"),
    [
        (NOW + 86_400, "put off: HTTP 429; tried again in 24 h 00"),
        (NOW - 1, "put off: HTTP 429; tried again now"),
        (None, "put off: HTTP 429; tried again by itself"),
    ],
)
def test_a_shot_that_is_put_off_says_until_when(next_try: float | None, words: str) -> None:
    """A provider may ask for a day; without the time that looks like a run that is stuck."""
    busy = {"code": "upstream_rate_limited", "message": "HTTP 429", "family": "rate"}
    shot = a_shot("s1", "pending", held_by=busy, next_try=next_try)
    assert shot_words(a_run("running", shot), shot, now=NOW) == words


def test_a_stale_shot_says_which_shot_it_no_longer_fits() -> None:
    """It is the shot that was made again."""
    shot = a_shot("s2", "done", a_take("done", video=VIDEO), source="s1", stale=True)
    assert shot_words(a_run("running", DONE, shot), shot, now=NOW) == "done: 1.00 s, 2x2; stale: s1 has changed since"


def test_a_shot_made_from_a_stale_one_names_that() -> None:
    """To retake it alone would fix nothing."""
    second = a_shot("s2", "done", a_take("done", video=VIDEO), source="s1", stale=True)
    third = a_shot("s3", "done", a_take("done", video=VIDEO), source="s2", stale=True)
    words = shot_words(a_run("running", DONE, second, third), third, now=NOW)
    assert words == "done: 1.00 s, 2x2; stale, since s2 is"


def test_a_done_shot_says_how_far_it_opens_from_what_it_was_given() -> None:
    """The figure of its seam, in levels."""
    fields = {"seam": {"difference": 1.84}, "first_frame": {"url": "u", "source": "upload"}}
    shot = a_shot("s2", "done", a_take("done", video=VIDEO, **fields), source="s1")
    words = "done: 1.00 s, 2x2; begins with s1's last frame, seam 1.8 of 255"
    assert shot_words(a_run("running", DONE, shot), shot, now=NOW) == words


def test_takes_that_do_the_same_share_a_clause() -> None:
    """Of several takes it says which does what."""
    takes = [a_take("generating", since_s=3, number=1), a_take("generating", since_s=3, number=2)]
    shot = a_shot("s1", "generating", *takes, a_take("failed", number=3, error=LOST))
    words = "takes 1 and 2 generating, 3 s; take 3 failed: nobody knows"
    assert shot_words(a_run("running", shot), shot, now=NOW) == words


def test_a_lost_submit_is_distinguished_from_a_decision_of_the_person() -> None:
    """Nothing has to be typed for it, and it says so."""
    shot = a_shot("s1", "waiting", a_take("unsure", error=LOST))
    lines = outlook(a_run("waiting", shot), now=NOW)
    assert lines[0] == "it is held, not sent again; a late callback still lets it go on"
    assert not any("your turn" in line for line in lines)


def test_a_question_about_a_take_is_a_turn_of_the_person() -> None:
    """With both answers to type, and what they may cost."""
    question = {"code": "nothing_heard", "message": "nothing was heard; both are paid for", "family": "server"}
    shot = a_shot("s1", "waiting", a_take("unsure", error=LOST, question=question))
    lines = outlook(a_run("waiting", shot), now=NOW)

    assert shot_words(a_run("waiting", shot), shot, now=NOW) == "waits: nothing was heard; both are paid for"
    assert lines[0] == "your turn: nothing was heard; both are paid for"
    assert any("framerelay adopt JOB_ID --run run_x --shot s1" in line for line in lines)
    assert any("framerelay retake run_x s1" in line for line in lines)


def test_a_question_is_gone_once_the_run_went_on() -> None:
    """Of a take that was set aside nobody is asked."""
    shot = a_shot("s1", "waiting", a_take("unsure", error=LOST), set_aside=1, gate="approve", approved=False)
    assert any("approve" in line for line in outlook(a_run("waiting", shot), now=NOW))


def test_a_status_that_is_not_known_is_shown_with_its_word() -> None:
    """In the provider's own spelling."""
    take = a_take("generating", since_s=12, provider_status="archiviert", provider_status_known=False)
    shot = a_shot("s1", "generating", take)
    assert 'the provider says "archiviert"' in shot_words(a_run("running", shot), shot, now=NOW)


def test_a_small_terminal_shows_only_the_shots_under_way() -> None:
    """The view never outgrows the screen, and what is next stays in sight."""
    shots = [a_shot(f"s{number}", "done", *DONE.takes) for number in range(50)]
    shots += [a_shot("now", "generating", a_take("generating")), *(a_shot(f"t{n}", "pending") for n in range(50))]
    texts = [line.text for line in live_lines(a_run("running", *shots), now=NOW, rows=24)]
    assert len(texts) <= 24
    assert any("▸ now" in text for text in texts)
    assert any("… 49 before, 49 of them done" in text for text in texts)
    assert any(" after, none of them done" in text for text in texts)
    assert texts[-1].startswith("  next: a callback about now")
    texts = [line.text for line in live_lines(a_run("running", *shots[50:]), now=NOW, rows=24)]
    assert not any(" before, " in text for text in texts), "there is nothing to count"


def test_the_film_is_the_last_line_by_itself() -> None:
    """So that a script can take it."""
    run = a_run("succeeded", DONE, film=FILM)
    assert whole_lines(run, now=NOW, place=lambda url: f"/here/{url}")[-1].text == "film: /here/u"


def test_a_narrow_terminal_wraps_between_words_and_keeps_commands_whole() -> None:
    """Or after a Chinese sign, which takes two columns. What hangs over is indented; a file gets lines as they are."""
    narrow = Console(file=StringIO(), width=30, force_terminal=True)
    line = PictureLine(text="  ✓ s1 done: 4.04 s, 864x496; begins with 霓虹雨夜霓虹雨夜's last frame")

    assert line.rows(narrow) == [
        "  ✓ s1 done: 4.04 s,",
        "      864x496; begins with 霓",
        "      虹雨夜霓虹雨夜's last",
        "      frame",
    ]
    assert line.rows(Console(file=StringIO(), width=30)) == [line.text]
    assert PictureLine(text="film: /a/path/that/is/longer/than/the/screen", whole=True).rows(narrow) == [
        "film: /a/path/that/is/longer/than/the/screen"
    ]


def test_durations_are_as_people_say_them() -> None:
    """Whole seconds, then minutes, hours, days."""
    assert [duration(s) for s in (-1, 59.9, 80, 7_500, 259_200)] == ["0 s", "59 s", "1:20", "2 h 05", "3 days"]


def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    """Escape sequences and line breaks become blanks, any script stays."""
    assert printable("雨\x1b[2J\n\x07夜") == "雨 [2J  夜"
    assert printable("a\u202eb\u200bc") == "a b c"
    for whole in ("👩\u200d👧", "می\u200cخواهم"):
        assert printable(whole) == whole


def test_each_kind_of_failure_says_what_a_person_can_do() -> None:
    """The line has the command to type, with the run and the shot that it is about."""
    for family, words in (
        ("text_moderated", "framerelay retake run_x s1 --prompt TEXT"),
        ("video_moderated", "framerelay retake run_x s1 --prompt TEXT"),
        ("unknown", "framerelay resume run_x"),
    ):
        problem = {"code": "x", "message": "it failed", "family": family}
        run = a_run("failed", a_shot("s1", "failed", a_take("failed", error=problem)), error=problem)
        assert words in outlook(run, now=NOW)[-1]

    key = {"code": "x", "message": "the key is wrong", "family": "account"}
    run = a_run("waiting", a_shot("s1", "waiting", held_by=key), error=key)
    assert "FRAMERELAY_UPSTREAM_KEY" in outlook(run, now=NOW)[0]
    assert "the variable that framerelay doctor names" in outlook(run, now=NOW)[0]
    assert "framerelay resume run_x" in outlook(run, now=NOW)[0]


def test_a_budget_that_is_spent_is_answered_by_the_command_that_raises_it() -> None:
    """Of jobs, of money, or both: the limit that holds the run has to be raised."""
    error = {"code": "budget_reached", "message": "the budget is spent", "family": "unknown"}
    shot = a_shot("s1", "waiting")
    run = a_run("waiting", shot, error=error, budget={"jobs": None, "money": 0.5, "currency": "USD"})
    assert outlook(run, now=NOW)[-2:] == [
        "your turn: framerelay resume run_x --money AMOUNT",
        "  AMOUNT: more than 0.5, for the whole run",
    ]
    run = a_run("waiting", shot, error=error, budget={"jobs": 3, "money": 80, "currency": "USD"})
    assert outlook(run, now=NOW)[-2] == "your turn: framerelay resume run_x --money AMOUNT"
    run = a_run("waiting", shot, error=error, budget={"jobs": 3, "money": 80, "currency": "USD"}, spent={"jobs": 3})
    assert outlook(run, now=NOW)[-2:] == [
        "your turn: framerelay resume run_x --budget JOBS",
        "  JOBS: more than 3, for the whole run",
    ]


def test_the_cost_of_a_run_is_shown_next_to_its_jobs() -> None:
    """With its budget of money, and what is in flight; nothing where no price is known."""
    cost = {"spent": 2.1, "reserved": 0.34, "currency": "USD", "estimated": True}
    budget = {"jobs": 8, "money": 12, "currency": "USD"}
    assert cost_words(a_run("running", DONE)) is None
    assert cost_words(a_run("running", DONE, cost=cost)) == "about 2.10 USD spent, 0.34 USD more in flight"
    run = a_run("running", DONE, cost={**cost, "reserved": 0, "estimated": False}, budget=budget)
    assert cost_words(run) == "2.10 of 12.00 USD spent"
    assert "2.10 of 12.00 USD spent" in " ".join(line.text for line in whole_lines(run, now=NOW))
