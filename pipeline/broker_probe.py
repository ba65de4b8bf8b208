"""A look at a Kafka server before kafka-python is let to it, which would only try again where a setting is wrong.

The server is asked what it answers at once if it is secured as our settings say: without a user, which brokers there
are; with one, to let it in.
"""

import socket
import ssl
import struct
from io import BufferedRWPair

from kafka.net.sasl import get_sasl_mechanism

from pipeline.errors import KafkaRefusalError, KafkaServiceError
from pipeline.kafka_security import KafkaSecurity
from pipeline.tls_files import tls_in_words

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0  # a Java that has just started takes a second for its first TLS
METADATA, SASL_HANDSHAKE, SASL_AUTHENTICATE = (3, 1), (17, 1), (36, 0)  # requests of Kafka's protocol, their versions
UNSUPPORTED_MECHANISM, ILLEGAL_STATE = 33, 34  # its errors
TLS_ALERT = 21  # the first byte of what a TLS server says to one that speaks none
MOST_BYTES = 1_000_000  # of an answer
WANTS_TLS = "speaks TLS; set VNOME_KAFKA_SECURITY to ssl or sasl_ssl"
NO_TLS = "set VNOME_KAFKA_SECURITY to plaintext or sasl_plaintext"
CLOSES = "closes the connection; check that it is Kafka, and VNOME_KAFKA_SECURITY"
NO_USERS = "takes no users; set VNOME_KAFKA_SECURITY to plaintext or ssl"
WRONG_LOGIN = "does not take the user or the password; check VNOME_KAFKA_USER and VNOME_KAFKA_PASSWORD"
NOT_KNOWN = "does not know the password itself; check who answers there"


class _RefusedError(Exception):
    """The server says what is wrong. `str(error)` is to be read after its name."""


def ask_broker(server: str, security: KafkaSecurity) -> None:
    """Returns when a connection to the server can be used. server: HOST:PORT.

    Raises OSError when nobody takes the connection or answers, KafkaServiceError when the server hangs up,
    KafkaRefusalError when it is clear what is wrong.
    """
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.create_connection((host, int(port)), CONNECT_SECONDS) as connection:
            connection.settimeout(ANSWER_SECONDS)
            try:
                _ask(connection, host, security)
            except (ConnectionError, EOFError, ssl.SSLEOFError):
                raise KafkaServiceError(f"Kafka at {server} {CLOSES}") from None
    except _RefusedError as error:
        raise KafkaRefusalError(f"Kafka at {server} {error}") from None
    except ssl.SSLError as error:
        words = tls_in_words(error, "VNOME_KAFKA_CA", "VNOME_KAFKA_CERT and VNOME_KAFKA_KEY", NO_TLS)
        raise KafkaRefusalError(f"Kafka at {server} {words}") from None


def _ask(connection: socket.socket, host: str, security: KafkaSecurity) -> None:
    if security.tls is not None:
        connection = security.tls.wrap_socket(connection, server_hostname=host)
    with connection, connection.makefile("rwb") as stream:
        if security.mechanism:
            _log_in(stream, host, security)
        else:
            _request(stream, METADATA, struct.pack(">i", 0))  # of no topic


def _log_in(stream: BufferedRWPair, host: str, security: KafkaSecurity) -> None:
    name = security.mechanism.encode()
    (code,) = struct.unpack_from(">h", _request(stream, SASL_HANDSHAKE, struct.pack(">h", len(name)) + name))
    if code == UNSUPPORTED_MECHANISM:
        raise _RefusedError(f"does not offer {security.mechanism}; set VNOME_KAFKA_MECHANISM to another")
    if code == ILLEGAL_STATE:
        raise _RefusedError(NO_USERS)
    login = get_sasl_mechanism(security.mechanism)(host=host, **security.options())
    while not login.is_done():
        token = login.auth_bytes()
        answer = _request(stream, SASL_AUTHENTICATE, struct.pack(">i", len(token)) + token)
        code, length = struct.unpack_from(">hh", answer)  # and a text, of length -1 when there is none
        if code:
            raise _RefusedError(WRONG_LOGIN)
        try:
            login.receive(answer[8 + max(length, 0) :])
        except (KeyError, ValueError):
            raise _RefusedError(NOT_KNOWN) from None


def _request(stream: BufferedRWPair, kind: tuple[int, int], body: bytes) -> bytes:
    """The body of the answer. Raises EOFError when the server hangs up."""
    header = struct.pack(">hhih", *kind, 0, -1)  # correlation 0, no client id
    stream.write(struct.pack(">i", len(header) + len(body)) + header + body)
    stream.flush()
    head = stream.read(8)  # length, correlation
    if head[:1] == bytes([TLS_ALERT]):
        raise _RefusedError(WANTS_TLS)
    length = int.from_bytes(head[:4]) - 4
    if len(head) < 8 or not 0 <= length <= MOST_BYTES:
        raise EOFError
    answer = stream.read(length)
    if len(answer) < length:
        raise EOFError
    return answer
