"""How connections to Kafka are secured: from the settings, checked, to what kafka-python is told."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from pipeline.errors import InputError
from pipeline.secret_file import secret_of
from pipeline.settings import PLAINTEXT, Settings
from pipeline.tls_files import NamedFile, client_context

TLS = ("ssl", "sasl_ssl")
SASL = ("sasl_plaintext", "sasl_ssl")
PROTOCOLS = (PLAINTEXT, "ssl", "sasl_plaintext", "sasl_ssl")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")  # the first is the default
_PASSWORD = "VNOME_KAFKA_PASSWORD"  # noqa: S105  the variable's name


@dataclass(frozen=True)
class KafkaSecurity:
    """protocol: one of PROTOCOLS. tls: where it is encrypted. mechanism, user, password: where a user logs in."""

    protocol: str = PLAINTEXT
    tls: ssl.SSLContext | None = None
    mechanism: str = ""
    user: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))

    def options(self) -> dict[str, Any]:
        """Arguments for any client of kafka-python."""
        options: dict[str, Any] = {"security_protocol": self.protocol.upper()}
        if self.tls is not None:
            options["ssl_context"] = self.tls
        if self.mechanism:
            user = self.user
            if self.mechanism.startswith("SCRAM"):  # RFC 5802, which kafka-python leaves to its caller
                user = user.replace("=", "=3D").replace(",", "=2C")
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": user,
                "sasl_plain_password": self.password.get_secret_value(),
            }
        return options


def kafka_security(given: Settings) -> KafkaSecurity:
    """What the settings say. Raises InputError for settings that contradict one another, or a file that is no use."""
    protocol = given.kafka_security.lower() or PLAINTEXT
    if protocol not in PROTOCOLS:
        raise InputError(f"VNOME_KAFKA_SECURITY={given.kafka_security} is not one of {', '.join(PROTOCOLS)}")
    password = secret_of(_PASSWORD, given.kafka_password, given.kafka_password_file) or SecretStr("")
    _check_login(given, protocol, password)
    tls = _tls(given, protocol)
    if protocol not in SASL:
        return KafkaSecurity(protocol, tls)
    mechanism = given.kafka_mechanism.upper() or MECHANISMS[0]
    if mechanism not in MECHANISMS:
        raise InputError(f"VNOME_KAFKA_MECHANISM={given.kafka_mechanism} is not one of {', '.join(MECHANISMS)}")
    return KafkaSecurity(protocol, tls, mechanism, given.kafka_user, password)


def _check_login(given: Settings, protocol: str, password: SecretStr) -> None:
    needed = {"VNOME_KAFKA_USER": given.kafka_user, _PASSWORD: password.get_secret_value()}
    if protocol in SASL:
        for name, value in needed.items():
            if not value:
                raise InputError(f"VNOME_KAFKA_SECURITY={protocol} needs {name}; set it")
        return
    for name, value in (needed | {"VNOME_KAFKA_MECHANISM": given.kafka_mechanism}).items():
        if value:
            raise _unused(name, protocol, SASL)


def _tls(given: Settings, protocol: str) -> ssl.SSLContext | None:
    authority, certificate, key = (
        _file("VNOME_KAFKA_CA", given.kafka_ca),
        _file("VNOME_KAFKA_CERT", given.kafka_cert),
        _file("VNOME_KAFKA_KEY", given.kafka_key),
    )
    if protocol not in TLS:
        for file in (authority, certificate, key):
            if file is not None:
                raise _unused(file.name, protocol, TLS)
        return None
    if (certificate is None) != (key is None):
        raise InputError("VNOME_KAFKA_CERT and VNOME_KAFKA_KEY go together; set both or neither")
    return client_context(authority, certificate, key)


def _file(name: str, path: Path | None) -> NamedFile | None:
    return None if path is None else NamedFile(name, path)


def _unused(name: str, protocol: str, users: tuple[str, ...]) -> InputError:
    return InputError(
        f"{name} is set, but VNOME_KAFKA_SECURITY={protocol} makes no use of it; set that to {' or '.join(users)}"
    )
