"""Settings of Kafka's security: what they become, and those that cannot be meant."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from pipeline.errors import InputError
from pipeline.kafka_security import KafkaSecurity, kafka_security
from pipeline.settings import Settings
from tests.certificates import Authority

SECRET = "s3cret"  # noqa: S105
LOGIN = {"USER": "hall", "PASSWORD": SECRET}


def security(monkeypatch: pytest.MonkeyPatch, **given: object) -> KafkaSecurity:
    """What VNOME_KAFKA_... of these names say."""
    for name, value in given.items():
        monkeypatch.setenv(f"VNOME_KAFKA_{name}", str(value))
    return kafka_security(Settings())


def test_without_settings_nothing_is_secured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert security(monkeypatch).options() == {"security_protocol": "PLAINTEXT"}
    empty = dict.fromkeys(("SECURITY", "USER", "PASSWORD", "PASSWORD_FILE", "MECHANISM", "CA", "CERT", "KEY"), "")
    assert security(monkeypatch, **empty).options() == {"security_protocol": "PLAINTEXT"}


def test_a_user_over_tls(monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path) -> None:
    own, file = authority.sign("own"), tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    files = {"CA": authority.file, "CERT": own.certificate, "KEY": own.key, "PASSWORD_FILE": file}
    found = security(monkeypatch, SECURITY="SASL_SSL", USER="hall", **files)
    options = found.options()
    assert options.pop("ssl_context").check_hostname
    assert options == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "hall",
        "sasl_plain_password": SECRET,
    }
    assert SECRET not in repr(found)


def test_a_user_is_written_as_its_mechanism_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"SECURITY": "sasl_plaintext", "USER": "a=b,c", "PASSWORD": SECRET}
    assert security(monkeypatch, **login).options()["sasl_plain_username"] == "a=3Db=2Cc"
    assert security(monkeypatch, **login, MECHANISM="plain").options()["sasl_plain_username"] == "a=b,c"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"SECURITY": "tls"}, "VNOME_KAFKA_SECURITY=tls is not one of plaintext, ssl, sasl_plaintext, sasl_ssl"),
        ({"SECURITY": "sasl_ssl", "PASSWORD": SECRET}, "sasl_ssl needs VNOME_KAFKA_USER"),
        ({"SECURITY": "sasl_ssl", "USER": "hall"}, "sasl_ssl needs VNOME_KAFKA_PASSWORD"),
        ({"SECURITY": "sasl_plaintext", **LOGIN, "MECHANISM": "GSSAPI"}, "MECHANISM=GSSAPI is not one of SCRAM-SHA"),
        ({"SECURITY": "sasl_plaintext", **LOGIN, "CA": "/ca"}, "VNOME_KAFKA_CA is set, but"),
        ({"USER": "hall"}, "VNOME_KAFKA_USER is set, but VNOME_KAFKA_SECURITY=plaintext makes no use of it"),
        ({"PASSWORD": SECRET}, "VNOME_KAFKA_PASSWORD is set, but"),
        ({"SECURITY": "ssl", "MECHANISM": "PLAIN"}, "VNOME_KAFKA_MECHANISM is set, but"),
        ({"CERT": "/cert"}, "VNOME_KAFKA_CERT is set, but"),
        ({"SECURITY": "ssl", "CERT": "/cert"}, "VNOME_KAFKA_CERT and VNOME_KAFKA_KEY go together"),
        ({"SECURITY": "ssl", "CA": "/nowhere/ca.pem"}, "VNOME_KAFKA_CA=/nowhere/ca.pem cannot be read: No such file"),
        ({"SECURITY": "ssl", "CA": "/"}, "VNOME_KAFKA_CA=/ cannot be read: Is a directory"),
        ({"SECURITY": "ssl", "CA": __file__}, "holds no certificates in PEM form"),
        ({**LOGIN, "PASSWORD_FILE": "/password"}, "VNOME_KAFKA_PASSWORD and VNOME_KAFKA_PASSWORD_FILE are both set"),
    ],
)
def test_settings_that_cannot_be_meant(given: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError) as caught:
        security(monkeypatch, **given)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_that_is_no_use(monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path) -> None:
    own, other, locked = authority.sign("own"), authority.sign("other"), tmp_path / "locked.key"
    key = serialization.load_pem_private_key(own.key.read_bytes(), None)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    locked.write_bytes(key.private_bytes(*form, serialization.BestAvailableEncryption(b"x")))
    for file, words in ((other.key, "holds not the key of"), (locked, "or encrypted"), (authority.file, "PEM form")):
        with pytest.raises(InputError, match=words):
            security(monkeypatch, SECURITY="ssl", CERT=own.certificate, KEY=file)
