"""What a TLS connection to a server needs, from files of certificates, and its failures in words."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from pipeline.errors import InputError


@dataclass(frozen=True)
class NamedFile:
    """A file in PEM form, and the setting that named it."""

    name: str
    path: Path

    def __str__(self) -> str:
        return f"{self.name}={self.path}"


def client_context(
    authority: NamedFile | None, certificate: NamedFile | None, key: NamedFile | None, password: SecretStr | None = None
) -> ssl.SSLContext:
    """TLS 1.2 or later, to a server whose name is checked.

    authority: who must have signed the server's certificate; default the system's authorities. certificate, key: with
    which this side shows who it is, where the server asks. password: of the key.
    Raises InputError that names the file which cannot be used.
    """
    for file in (authority, certificate, key):
        if file is not None:
            _require(file)
    context = ssl.create_default_context() if authority is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authority is not None:
        try:
            context.load_verify_locations(authority.path)
        except ssl.SSLError:
            raise InputError(f"{authority} holds no certificates in PEM form") from None
    if certificate is not None:
        _show(context, certificate, key, password)
    return context


def _require(file: NamedFile) -> None:
    try:
        with file.path.open("rb"):
            return
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None


def _show(context: ssl.SSLContext, certificate: NamedFile, key: NamedFile | None, password: SecretStr | None) -> None:
    unlock = password.get_secret_value() if password else ""  # also empty, for without one OpenSSL asks the terminal
    try:
        context.load_cert_chain(certificate.path, key.path if key else None, unlock)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InputError(f"{key or certificate} holds not the key of {certificate}") from None
        raise InputError(f"{certificate} and {key or 'its key'}: not in PEM form, or encrypted") from None


def tls_in_words(error: ssl.SSLError, authority: str, certificate: str, without: str) -> str:
    """Why TLS failed, to be read after the server's name. The settings: authority, certificate, and to use no TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"is not trusted: {error.verify_message.rstrip('.')}; check {authority}"
    reason = error.reason or type(error).__name__
    if "ALERT" in reason and ("CERT" in reason or "UNKNOWN_CA" in reason):
        return f"does not take our certificate, or wants one ({reason}); check {certificate}"
    if "ALERT" in reason:
        return f"refuses our TLS ({reason}); check which versions and ciphers it allows"
    return f"does not speak TLS ({reason}); {without}"
