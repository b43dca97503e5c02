"""Counters and histograms, as Prometheus reads them."""

import asyncio
import shutil
import subprocess
from contextlib import suppress

import pytest

from framerelay.config.exposition import Counter, Histogram, gauge, labels_text, measure_lines


def test_a_histogram_counts_what_took_at_most_so_long() -> None:
    """Each bucket includes those before it; a value on a bound belongs to it; one below zero counts as none."""
    histogram = Histogram("wait_seconds", "Waits.", "task", bounds=(0.1, 1.0))
    for seconds in (-3.0, 0.1, 0.5, 7.0):
        histogram.observe(seconds, "join")

    assert list(measure_lines([histogram])) == [
        "# HELP framerelay_wait_seconds Waits.",
        "# TYPE framerelay_wait_seconds histogram",
        'framerelay_wait_seconds_bucket{task="join",le="0.1"} 2.0',
        'framerelay_wait_seconds_bucket{task="join",le="1.0"} 3.0',
        'framerelay_wait_seconds_bucket{task="join",le="+Inf"} 4.0',
        'framerelay_wait_seconds_sum{task="join"} 7.6',
        'framerelay_wait_seconds_count{task="join"} 4.0',
    ]


def test_a_histogram_has_the_outcome() -> None:
    """An error by its code, a stranger's as failed, a task that was cancelled as that."""
    histogram = Histogram("call_seconds", "Calls.", "call", "outcome", bounds=(10.0,))
    for error in (None, TimeoutError(), _Foreseen(), asyncio.CancelledError()):
        with suppress(BaseException), histogram.time("get"):
            if error:
                raise error

    lines = [line for line in measure_lines([histogram]) if "_count" in line]
    outcomes = ["ok", "failed", "too_large", "cancelled"]
    assert lines == [f'framerelay_call_seconds_count{{call="get",outcome="{word}"}} 1.0' for word in outcomes]


class _Foreseen(Exception):
    code = "too_large"


def test_a_name_that_the_operator_chose_can_break_no_line() -> None:
    """Providers are named by people, who like quotes."""
    label = labels_text(("provider",), ('my "own"\n\\x',))

    assert label == r'{provider="my \"own\"\n\\x"}'


def test_a_counter_without_labels_begins_at_zero() -> None:
    """What never happened is there as 0, so that an alert on its rise knows where it rose from."""
    plain, counter = Counter("a_total", "A."), Counter("b_total", "B.", "word")
    counter.add("x", by=2.5)

    assert [line for line in measure_lines([plain, counter]) if line[0] != "#"] == [
        "framerelay_a_total 0",
        'framerelay_b_total{word="x"} 2.5',
    ]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here (Debian: prometheus)")
def test_prometheus_itself_finds_nothing_to_say() -> None:
    """Names, kinds and units are those of its conventions; the labels of a hostile name are read."""
    histogram = Histogram("wait_seconds", "Waits.", "task")
    histogram.observe(1, 'a "b"\n\\')
    lines = [*measure_lines([histogram, Counter("a_total", "A.")]), *gauge("free_bytes", "Free.", {"": 1.5})]

    assert subprocess.run(["promtool", "check", "metrics"], input="\n".join(lines) + "\n", text=True).returncode == 0
