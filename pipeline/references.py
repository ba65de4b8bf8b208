"""Videos that are sent as frames to be indexed: their codes gather in a stream, and become a film when it ends."""

import hashlib
import json
from collections.abc import Sequence

from pipeline import keys
from pipeline.code_stream import NS, CodeStream, StoredFrame
from pipeline.codes import FrameCodes
from pipeline.errors import InputError
from pipeline.indexing import CodedFilm, film_of_codes
from pipeline.labels import LabelStore, Stretch, smooth
from pipeline.library import Library
from pipeline.messages import BadMessage, FrameMessage
from pipeline.store import Store
from pipeline.videos import VideoFields
from pipeline.views import INSIDE_BARS, WHOLE


class References:
    """Films that come through Kafka."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stream = CodeStream(store)

    def finish(self, end: FrameMessage, encoder: str) -> str:
        """Puts a video into the catalogue once its end is told. encoder: SHA-256 of the model that coded it.

        Returns what the catalogue did. The state of the stream is kept, so that frames that Kafka repeats later are
        known, and an end that it repeats finds no frames and does nothing. Raises BadMessage when the end's value
        cannot be read, CatalogueError when the catalogue was coded with another encoder, StoreError.
        """
        about = _about(end)
        name = keys.reference_codes(end.video)
        frames = list(self._stream.read(name))
        if not frames:
            return "repeated"
        film = _film(frames)
        fields = VideoFields(
            id=end.video,
            title=str(about.get("title") or end.video),
            source_name=str(about.get("source_name") or end.camera),
            fingerprint=_fingerprint(film),
            encoder=encoder,
        )
        library = Library(self._store)
        library.recover()
        # 1. The film. 2. Its labels. 3. Its frames are forgotten, so that an end that is repeated finds no work.
        outcome = library.add(fields, film.track, film.duration_seconds, film.frames, {}, film.motion)
        stretches = _stretches(frames, film.duration_seconds)
        if stretches is not None:
            LabelStore(self._store).put(library.get(end.video).number, stretches)
        with self._store.errors():
            self._store.client.delete(name)
        return outcome


def _about(end: FrameMessage) -> dict[str, object]:
    try:
        about = json.loads(end.value or b"{}")
    except ValueError:
        about = None
    if not isinstance(about, dict):
        raise BadMessage("corrupt", "the value of an end is no JSON object with title and source_name")
    return about


def _film(frames: Sequence[StoredFrame]) -> CodedFilm:
    """A film of its coded frames, the black bars set aside as soon as they were known."""
    origin = frames[0].ts_ns
    coded = [frame.coded(origin) for frame in frames]
    coded.sort(key=lambda frame: frame.pts_seconds)
    parts = [frame.views.get(INSIDE_BARS, frame.views.get(WHOLE)) for frame in coded]
    codes = FrameCodes.concatenate([part for part in parts if part is not None])
    if not len(codes):
        raise InputError("its frames were coded under no reading of the whole picture; send reading 0")
    return film_of_codes(codes)


def _stretches(frames: Sequence[StoredFrame], end_seconds: float) -> list[Stretch] | None:
    """What recognition said of the frames, as stretches; None when it saw none of them."""
    in_order = sorted(frames, key=lambda frame: frame.ts_ns)
    told = [(frame.ts_ns, labels) for frame in in_order if (labels := frame.labels()) is not None]
    seconds = [(ts_ns - frames[0].ts_ns) / NS for ts_ns, _ in told]
    return smooth(seconds, [labels for _, labels in told], end_seconds) if told else None


def _fingerprint(film: CodedFilm) -> str:
    """Stands for the digest of a file that was never here."""
    return hashlib.sha256(film.track.codes.tobytes() + film.track.start_ms.tobytes()).hexdigest()
