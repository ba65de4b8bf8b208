"""What can never be processed: kept on a topic of its own, byte for byte, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError

from pipeline.messages import BadMessage, Place

SEND_SECONDS = 20.0  # for one letter to be acknowledged


@dataclass(frozen=True)
class DeadLetter:
    """A message as it came, and what is wrong with it. reason: one of few words. text: one line."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    place: Place
    reason: str
    text: str


class DeadLetters:
    """Writes dead letters to a topic. producer: see `pipeline.broker.open_producer`."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def park(self, letters: Sequence[DeadLetter]) -> bool:
        """Writes them; returns True when all are acknowledged, else they must be parked again.

        The original's key, value and headers are kept; `error`, `reason`, `topic`, `partition` and `offset` are added.
        """
        try:
            sent = [self._send(letter) for letter in letters]
            for one in sent:
                one.get(timeout=SEND_SECONDS)
        except KafkaError:
            return False
        return True

    def _send(self, letter: DeadLetter) -> Any:
        about = {
            "error": letter.text,
            "reason": letter.reason,
            "topic": letter.place.topic,
            "partition": str(letter.place.partition),
            "offset": str(letter.place.offset),
        }
        added = [(name, text.encode()) for name, text in about.items()]
        kept = [(name, value) for name, value in letter.headers if name not in about]
        return self._producer.send(self._topic, key=letter.key, value=letter.value, headers=kept + added)


def letter_of(record: Any, bad: BadMessage) -> DeadLetter:
    """The letter for a record of kafka-python."""
    place = Place(record.topic, record.partition, record.offset)
    return DeadLetter(record.key, record.value, record.headers, place, bad.reason, str(bad))
