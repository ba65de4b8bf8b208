"""Match events to Kafka."""

import json
from typing import Any

from kafka.errors import KafkaError

from pipeline.relay import DeliveryError

SEND_SECONDS = 20.0


class KafkaDelivery:
    """Hands one event to a topic, keyed by its camera, and waits until Kafka has it. At least once: see its `id`."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer, self._topic = producer, topic

    def __call__(self, event: dict[str, Any]) -> None:
        """Raises DeliveryError when Kafka does not take it now."""
        value = json.dumps(event, ensure_ascii=False).encode()
        headers = [("v", b"1"), ("id", str(event.get("id", "")).encode()), ("type", b"application/json")]
        try:
            self._producer.send(
                self._topic, key=str(event.get("camera", "")).encode(), value=value, headers=headers
            ).get(timeout=SEND_SECONDS)
        except KafkaError as error:
            raise DeliveryError(f"Kafka: {type(error).__name__}", retry=True) from None
