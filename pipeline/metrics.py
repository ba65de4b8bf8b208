"""All Prometheus metrics of VNOME, in one place. Names and units follow Prometheus' own rules."""

import threading

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from pipeline.version import VERSION

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each counter, which nobody reads

MOST_CAMERAS = 1000  # with series of their own; those beyond count as one, so that ids cannot fill the memory
OTHER = "other"
_STAGE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_LATENCY = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)
_SIGHTING = (1, 3, 10, 30, 60, 300, 1800, 7200)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Info("vnome_build", "Version of this process", registry=registry).info({"version": VERSION})
        self.frames_total = Counter("vnome_frames_total", "Frames", ["camera", "outcome"], registry=registry)
        self.drops_total = Counter("vnome_drops_total", "Frames lost", ["camera", "reason"], registry=registry)
        self.dead_letters_total = Counter(
            "vnome_dead_letters_total", "Messages that cannot be processed", ["reason"], registry=registry
        )
        self.match_events_total = Counter("vnome_match_events_total", "Match events", ["event"], registry=registry)
        self.deliveries_total = Counter(
            "vnome_deliveries_total", "Events handed on", ["relay", "outcome"], registry=registry
        )
        self.reconnects_total = Counter(
            "vnome_reconnects_total", "New attempts to connect", ["what"], registry=registry
        )
        self.batch_frames = Histogram("vnome_batch_frames", "Frames a batch", buckets=_BATCH, registry=registry)
        self.stage_seconds = Histogram(
            "vnome_stage_seconds", "Time of a batch in a stage", ["stage"], buckets=_STAGE, registry=registry
        )
        self.capture_to_code_seconds = Histogram(
            "vnome_capture_to_code_seconds", "From capture to a code in Redis", buckets=_LATENCY, registry=registry
        )
        self.capture_to_match_seconds = Histogram(
            "vnome_capture_to_match_seconds",
            "From the capture of the frame that decided to the event",
            buckets=_LATENCY,
            registry=registry,
        )
        self.queue_depth = Gauge("vnome_queue_depth", "What waits", ["queue"], registry=registry)
        self.consumer_lag = Gauge(
            "vnome_consumer_lag", "Messages not read yet", ["topic", "partition"], registry=registry
        )
        self.inflight_bytes = Gauge("vnome_inflight_bytes", "Sent and not acknowledged", ["camera"], registry=registry)
        self.cameras_followed = Gauge("vnome_cameras_followed", "Cameras of this matcher", registry=registry)
        self.live_sessions = Gauge("vnome_live_sessions", "Phones that are connected", ["sends"], registry=registry)
        self.live_events_total = Counter(
            "vnome_live_events_total", "Events told to phones", ["event"], registry=registry
        )
        self.code_to_event_seconds = Histogram(
            "vnome_code_to_event_seconds",
            "From the arrival of a phone's code to the decision on it",
            buckets=_LATENCY,
            registry=registry,
        )
        self.requests_total = Counter(
            "vnome_http_requests_total", "Requests answered", ["route", "status"], registry=registry
        )
        self.uploads_total = Counter("vnome_uploads_total", "Uploads that came to an end", ["state"], registry=registry)
        self.ready = Gauge("vnome_ready", "Whether it can work, as /readyz says", registry=registry)
        self.sighting_seconds = Histogram(
            "vnome_sighting_seconds", "How long what was found stayed on", buckets=_SIGHTING, registry=registry
        )
        self._add_index()
        self._cameras: set[str] = set()
        self._lock = threading.Lock()

    def _add_index(self) -> None:
        """What `pipeline.index_watch` measures. node: HOST:PORT of a server."""
        registry = self.registry
        self.index_postings = Gauge("vnome_index_postings", "Postings of the index", registry=registry)
        self.index_videos = Gauge("vnome_index_videos", "Videos of the catalogue", registry=registry)
        self.redis_memory_bytes = Gauge("vnome_redis_memory_bytes", "Memory in use", ["node"], registry=registry)
        self.redis_memory_max_bytes = Gauge(
            "vnome_redis_memory_max_bytes", "Memory that may be used", ["node"], registry=registry
        )
        self.redis_evicted_keys = Gauge(
            "vnome_redis_evicted_keys", "Keys thrown away for lack of memory", ["node"], registry=registry
        )

    def count_frame(self, camera: str, outcome: str) -> None:
        """One frame of a camera: coded, duplicate, sent, end."""
        self.frames_total.labels(self.camera_label(camera), outcome).inc()

    def count_drop(self, camera: str, reason: str) -> None:
        """One frame of a camera that is lost."""
        self.drops_total.labels(self.camera_label(camera), reason).inc()

    def set_inflight(self, camera: str, size: int) -> None:
        """Bytes of a camera that are sent and not acknowledged."""
        self.inflight_bytes.labels(self.camera_label(camera)).set(size)

    def camera_label(self, camera: str) -> str:
        """The camera, or `OTHER` for those beyond the first `MOST_CAMERAS`."""
        with self._lock:
            if camera not in self._cameras and len(self._cameras) >= MOST_CAMERAS:
                return OTHER
            self._cameras.add(camera)
            return camera
