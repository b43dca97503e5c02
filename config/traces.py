"""
Traces by OpenTelemetry, from a callback to the next submit.

Only its API is a dependency: nothing is recorded, and almost no time is spent, until an SDK is set up, as by
``opentelemetry-instrument``. A trace goes from process to process as a traceparent (W3C): in the look-up that a
callback queues, and then in its take. Traceparents from strangers are not read, and providers do not get ours.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from framerelay.config.logs import log_context
from framerelay.config.metrics import build_version

_TRACER: Final = trace.get_tracer("framerelay", build_version())
_FORM: Final = TraceContextTextMapPropagator()
_KEY: Final = "traceparent"

Attribute = str | int | None


def are_recorded() -> bool:
    """Whether anybody records spans. It costs a microsecond: code that works on many things at once asks once."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def begin(name: str, *, began: float | None = None, **attributes: Attribute) -> Span | None:
    """A span that the caller ends, starting at *began* (seconds since 1970) or now; None: nobody records any."""
    if not are_recorded():
        return None
    start_ns = None if began is None else int(began * 1e9)
    return _TRACER.start_span(name, start_time=start_ns, attributes=_with_prefix(attributes))


@contextmanager
def span(name: str, *, parent: str | None = None, **attributes: Attribute) -> Iterator[None]:
    """The block as a span below *parent*, a traceparent; its log lines have the ``trace_id``."""
    if not are_recorded():
        yield
        return
    context = _FORM.extract({_KEY: parent}) if parent else None
    with (
        _TRACER.start_as_current_span(
            name,
            context,
            attributes=_with_prefix(attributes),
            record_exception=False,
            set_status_on_exception=False,
        ) as current,
        log_context(trace_id=trace.format_trace_id(current.get_span_context().trace_id)),
    ):
        try:
            yield
        except Exception as error:
            # Only its code: texts of errors may quote strangers.
            current.set_status(Status(StatusCode.ERROR, getattr(error, "code", type(error).__name__)))
            raise


def note(**attributes: Attribute) -> None:
    """More about the current span, if there is one."""
    trace.get_current_span().set_attributes(_with_prefix(attributes))


def traceparent(of: Span | None = None) -> str | None:
    """What continues this span, or the current one, elsewhere; None: there is none."""
    carrier = dict[str, str]()
    _FORM.inject(carrier, None if of is None else trace.set_span_in_context(of))
    return carrier.get(_KEY)


def _with_prefix(attributes: dict[str, Attribute]) -> dict[str, str | int]:
    return {f"framerelay.{name}": value for name, value in attributes.items() if value is not None}
