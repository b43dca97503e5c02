"""One hop as a trace: from the callback over both processes' tasks to the submit of the next shot."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from framerelay.config import traces

pytestmark = pytest.mark.anyio

CHAIN = {
    "model": "seedance-1.5-pro-1080p",
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}],
}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Where spans go; by hand, since OpenTelemetry lets a process set this once, and other tests want none."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(traces, "_TRACER", provider.get_tracer("framerelay"))
    yield exporter
    provider.shutdown()


def of_shot(spans: InMemorySpanExporter, name: str, shot: str) -> ReadableSpan:
    """The span of that name that is about this shot's first take, and ended well."""
    fields = {"framerelay.shot": shot, "framerelay.take": 1}
    ends = [each for each in spans.get_finished_spans() if each.name == name]
    return next(each for each in ends if fields.items() <= (each.attributes or {}).items())


@pytest.mark.parametrize("quick", [True, False])
async def test_a_hop_is_one_trace(
    start_provider: Any, start_relay: Any, spans: InMemorySpanExporter, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callback, look-up, download and the next submit hang together, whichever way the callback took."""
    if not quick:
        monkeypatch.setattr("framerelay.receiver.callbacks.batch.wants_own_answer", lambda *_: True)
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(CHAIN))

    assert run["status"] == "succeeded", run["error"]
    collect, submit = of_shot(spans, "collect", "s1"), of_shot(spans, "submit", "s2")
    by_id = {each.context.span_id: each for each in spans.get_finished_spans() if each.context}
    look_up = by_id[collect.parent.span_id] if collect.parent else None
    assert look_up is not None
    assert look_up.name == "look_up"
    callback = by_id[look_up.parent.span_id] if look_up.parent else None
    assert callback is not None
    assert callback.name == "callback"
    assert submit.parent is not None
    assert submit.parent.span_id == look_up.context.span_id
    assert {each.context.trace_id for each in (callback, look_up, collect, submit)} == {callback.context.trace_id}
    assert (callback.attributes or {})["framerelay.run_id"] == run["id"]
    assert (submit.attributes or {})["framerelay.outcome"] == "submitted"
    assert (collect.attributes or {})["framerelay.outcome"] == "collected"
    first = of_shot(spans, "submit", "s1")
    assert first.parent is None
    assert first.context.trace_id != callback.context.trace_id


async def test_an_error_is_named_by_its_code(spans: InMemorySpanExporter) -> None:
    """Texts of errors may quote strangers, so they stay out of what is exported."""
    with pytest.raises(ValueError, match="sk-secret"), traces.span("try", parent="no traceparent", run_id="run_1"):
        raise ValueError("sk-secret")

    (span,) = spans.get_finished_spans()
    assert (span.status.description, span.events, span.parent) == ("ValueError", (), None)


async def test_without_an_sdk_nothing_is_recorded_or_stored(start_provider: Any, start_relay: Any) -> None:
    """What a take and a task hold is then what it was before there were traces."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(CHAIN))
        run_stored = await relay.store.load(run["id"])

    assert traces.begin("callback") is None
    assert traces.traceparent() is None
    assert [take.trace for shot in run_stored.shots for take in shot.takes] == [None, None]
