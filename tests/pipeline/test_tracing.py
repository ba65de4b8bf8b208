"""Traces: over Kafka's headers and Redis's entries to the decision, and nothing at all where nobody asks for them."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from edge.sender import CameraSender, Outgoing
from pipeline import keys, tracing
from pipeline.code_stream import CodeEntry, CodeStream
from pipeline.codes import FrameCodes
from pipeline.gateway.deciding import Deciders, Seat
from pipeline.messages import FrameMessage, Place, parse_message
from pipeline.metrics import Metrics
from pipeline.store import Store
from pipeline.tracing import frames_span, records_span, root_span, start_tracing, stop_tracing, trace_to
from pipeline.views import WHOLE, CodedFrame
from tests.streaming import wait_until

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"
UNSAMPLED = "00-2af7651916cd43dd8448eb211c80319c-d7ad6b7169203331-00"


@dataclass
class Record:
    """As Kafka gives it."""

    headers: list[tuple[str, bytes]]


class Done:
    """What a producer says of a message that is sent."""

    def add_callback(self, call: Any) -> None:
        call(None)

    def add_errback(self, call: Any) -> None:
        return


@dataclass
class Producer:
    """Keeps what it is given."""

    sent: list[dict[str, Any]] = field(default_factory=list)

    def send(self, topic: str, **message: Any) -> Done:
        self.sent.append(message)
        return Done()


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    trace_to(SimpleSpanProcessor(exporter), "vnome-test")
    yield exporter
    stop_tracing()


def sent_by_an_agent() -> dict[str, Any]:
    """The message of one frame."""
    producer = Producer()
    sender = CameraSender(producer, "t", "lobby", Metrics())
    sender.offer(Outgoing(1_000_000_000, b"\xff\xd8"))
    sender.close(5)
    return producer.sent[0]


def received(message: dict[str, Any]) -> FrameMessage:
    return parse_message(message["key"], message["value"], message["headers"], 0, Place("t", 0, 0))


def trace_id(span: ReadableSpan) -> int:
    return span.context.trace_id if span.context else 0


def test_nothing_is_traced_or_imported_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tracing.ENDPOINT, raising=False)
    start_tracing("vnome-test")
    with root_span("a") as trace, frames_span("b", [SAMPLED]) as other, records_span("c", [Record([])]):
        assert (trace, other) == ("", "")
    assert not {name for name, _ in sent_by_an_agent()["headers"]} & {tracing.HEADER}
    code = "import sys, pipeline.tracing as t; t.start_tracing('x'); sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env={}).returncode == 0


def test_without_the_packages_it_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(tracing.ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)  # cannot be imported
    start_tracing("vnome-test")
    with root_span("a") as trace:
        assert trace == ""
    printed = capsys.readouterr()
    assert "vnome[tracing]" in printed.out + printed.err


def test_an_endpoint_turns_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracing.ENDPOINT, "http://127.0.0.1:9")
    given: list[tuple[Any, str]] = []
    monkeypatch.setattr(tracing, "trace_to", lambda processor, service: given.append((processor, service)))
    start_tracing("vnome-test")
    (processor, service) = given[0]
    processor.shutdown()
    assert service == "vnome-test"


def test_a_frame_is_one_trace_from_the_agent_to_the_processor(exported: InMemorySpanExporter) -> None:
    message = sent_by_an_agent()
    assert received(message).trace == dict(message["headers"])[tracing.HEADER].decode()
    with records_span("process.encode", [Record(message["headers"])]):
        pass
    sent, coded = exported.get_finished_spans()
    assert (sent.name, coded.name) == ("ingest.send", "process.encode")
    assert sent.attributes is not None
    assert sent.attributes["camera"] == "lobby"
    assert trace_id(sent) == trace_id(coded)
    assert coded.parent is not None
    assert sent.context is not None
    assert coded.parent.span_id == sent.context.span_id
    assert sent.resource.attributes["service.name"] == "vnome-test"


def test_work_on_many_frames_is_a_child_of_one_and_has_links_to_the_others(exported: InMemorySpanExporter) -> None:
    with frames_span("match.decide", [UNSAMPLED, SAMPLED, "", OTHER, OTHER], camera="lobby"):
        pass
    (span,) = exported.get_finished_spans()
    assert f"{trace_id(span):032x}" == SAMPLED[3:35]
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [OTHER[3:35]]


def test_frames_that_are_not_sampled_leave_no_span(exported: InMemorySpanExporter) -> None:
    with frames_span("match.decide", [UNSAMPLED]) as trace:
        assert trace[3:35] == UNSAMPLED[3:35]
    with frames_span("match.decide", []) as nothing:
        assert nothing == ""
    assert exported.get_finished_spans() == ()


@pytest.mark.parametrize("header", [b"", b"x", b"\xff\xfe", SAMPLED.encode() + b"0", SAMPLED.upper().encode()])
def test_a_header_that_is_no_traceparent_is_passed_over(header: bytes, exported: InMemorySpanExporter) -> None:
    message = sent_by_an_agent()
    headers = [(name, header if name == tracing.HEADER else value) for name, value in message["headers"]]
    assert received({**message, "headers": headers}).trace == ""
    with records_span("process.decode", [Record(headers)]) as trace:
        assert trace == ""


@pytest.mark.redis
def test_only_sampled_traces_are_kept_in_redis(store: Store) -> None:
    stream = CodeStream(store)
    codes = FrameCodes(np.zeros(1), np.ones(1, np.uint32), np.ones((1, 32), np.float32))
    for seq, trace in enumerate([SAMPLED, UNSAMPLED, ""]):
        message = FrameMessage("c", seq * 10**9, seq, "", "query", "", b"", Place("t", 0, seq), trace=trace)
        stream.push([CodeEntry(message, CodedFrame(0.0, {WHOLE: codes}))])
    assert [frame.trace for frame in stream.read(keys.camera_codes("c"))] == [SAMPLED, "", ""]


def test_a_decision_for_a_phone_is_a_trace_of_its_own(exported: InMemorySpanExporter) -> None:
    class Phone:
        def work(self) -> None:
            return

    deciders = Deciders(Metrics())
    deciders.due(Seat(Phone(), lambda _: None))  # type: ignore[arg-type]
    wait_until(lambda: len(exported.get_finished_spans()) == 1, "a span")
    deciders.close()
    assert [span.name for span in exported.get_finished_spans()] == ["gateway.decide"]
