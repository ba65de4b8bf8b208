"""Traces of frames, from the agent over processors to matchers, and of the gateway's decisions (OpenTelemetry).

They are made where OTEL_EXPORTER_OTLP_ENDPOINT names a collector and the extra `tracing` is installed; the SDK reads
its other variables, as OTEL_TRACES_SAMPLER. Else nothing is imported and nothing done.

A trace begins with `ingest.send` or `gateway.decide`. Its traceparent (W3C) travels with the frame in a header of
Kafka and, where it is sampled, a field of the entry in Redis. `process.*` and `match.decide` work on many frames at
once: such a span is a child of the first frame's that is sampled and has links to the others'.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from pipeline.logs import get_logger
from pipeline.version import VERSION

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADER = "traceparent"
_FORM = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_OFF: AbstractContextManager[str] = nullcontext("")

log = get_logger(__name__)

_tracer: Any = None  # of the process; None: nothing is traced


def start_tracing(service: str) -> None:
    """Traces from now on, as the environment says. service: the process's name among the services."""
    if not os.environ.get(ENDPOINT):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("nothing is traced, the packages are missing: pip install 'vnome[tracing]'", variable=ENDPOINT)
        return
    trace_to(BatchSpanProcessor(OTLPSpanExporter()), service)


def trace_to(processor: Any, service: str) -> None:
    """Traces to a span processor of the SDK."""
    global _tracer
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.version": VERSION}))
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("vnome", VERSION)


def stop_tracing() -> None:
    """Traces no more."""
    global _tracer
    _tracer = None


def root_span(name: str, **attributes: str | int) -> AbstractContextManager[str]:
    """A span that begins a trace; the block gets its traceparent, empty where nothing is traced."""
    return _OFF if _tracer is None else _span(name, (), attributes)


def frames_span(name: str, traces: Iterable[str], **attributes: str | int) -> AbstractContextManager[str]:
    """A span of the work on frames with these traceparents; none where no frame has one."""
    if _tracer is None:
        return _OFF
    known = [trace for trace in traces if trace]
    return _span(name, sorted(known, key=lambda trace: not is_sampled(trace)), attributes) if known else _OFF


def records_span(name: str, records: Sequence[Any]) -> AbstractContextManager[str]:
    """A span of the work on records as Kafka gives them."""
    if _tracer is None:
        return _OFF
    headers = (header for record in records for header in record.headers)
    traces = [read_trace((value or b"").decode("ascii", "replace")) for key, value in headers if key == HEADER]
    return frames_span(name, traces, frames=len(records))


def read_trace(text: str) -> str:
    """A traceparent, empty when it is none: a frame is not given up for that."""
    return text if _FORM.fullmatch(text) else ""


def is_sampled(trace: str) -> bool:
    """Whether this trace is recorded."""
    return bool(trace) and bool(int(trace[-2:], 16) & 1)


@contextmanager
def _span(name: str, traces: Sequence[str], attributes: dict[str, str | int]) -> Iterator[str]:
    """traces: the parent's first."""
    from opentelemetry.context import Context
    from opentelemetry.trace import Link

    parent, links = Context(), []
    if traces:
        parent = _context_of(traces[0])
        links = [Link(_remote(_context_of(trace))) for trace in dict.fromkeys(traces[1:]) if is_sampled(trace)]
    with _tracer.start_as_current_span(name, parent, links=links, attributes=attributes) as span:
        own = span.get_span_context()
        yield f"00-{own.trace_id:032x}-{own.span_id:016x}-{int(own.trace_flags):02x}"


def _context_of(trace: str) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({HEADER: trace})


def _remote(context: Any) -> Any:
    from opentelemetry.trace import get_current_span

    return get_current_span(context).get_span_context()
