"""What was found of a clip, as the JSON document of `vnome match --json` and of the gateway."""

from typing import Any

from pipeline.channels import aired_at
from pipeline.film_labels import FilmLabels
from pipeline.library import Library
from pipeline.session import ClipAnswer


def match_document(answer: ClipAnswer, library: Library) -> dict[str, Any]:
    """{"matches": [...], "frames": N, "seconds": S}; no match for "unknown", or for a video that is gone by now.

    labels: what the film shows at `at_seconds`, most probable first.
    """
    found = answer.match
    record = library.resolve([found.number]).get(found.number) if found else None
    matches = []
    if found is not None and record is not None:
        row = {
            "video": record.id,
            "title": record.title,
            "at_seconds": round(found.at_seconds, 2),
            "query_seconds": round(answer.query_seconds, 2),
            "confidence": round(found.confidence, 6),
            "speed": round(found.speed, 4),
            "labels": FilmLabels(library.store).at(found.number, found.at_seconds),
        }
        if record.is_live:
            row["aired_at"] = aired_at(record, found.at_seconds)
        matches.append(row)
    return {"matches": matches, "frames": answer.frames, "seconds": round(answer.seconds, 3)}
