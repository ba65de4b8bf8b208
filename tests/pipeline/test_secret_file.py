"""Secrets from variables and from files, which no message and no `repr` shows."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.errors import InputError
from pipeline.secret_file import secret_of
from pipeline.settings import EMBEDDED, Settings

SECRET = "s3cret"  # noqa: S105


def test_a_secret_is_taken_from_either_place(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    for given, where in ((SecretStr(SECRET), None), (None, file), (SecretStr(""), file)):
        found = secret_of("VNOME_X", given, where)
        assert found is not None
        assert found.get_secret_value() == SECRET
    assert secret_of("VNOME_X", None, None) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), (b" \n", "is empty"), (b"\xff\xfes3cret", "is no text")],
)
def test_a_file_that_is_no_use_is_told(content: bytes | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=rf"^VNOME_X_FILE={file} {words}") as caught:
        secret_of("VNOME_X", None, file)
    assert SECRET not in str(caught.value)


def test_a_secret_from_two_places_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="VNOME_X and VNOME_X_FILE are both set") as caught:
        secret_of("VNOME_X", SecretStr(SECRET), tmp_path / "secret")
    assert SECRET not in str(caught.value)


def test_settings_do_not_show_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Settings().redis_url() == EMBEDDED
    monkeypatch.setenv("VNOME_REDIS", f"rediss://user:{SECRET}@host")
    monkeypatch.setenv("VNOME_KAFKA_PASSWORD", SECRET)
    given = Settings()
    assert given.redis_url() == f"rediss://user:{SECRET}@host"
    assert SECRET not in f"{given!r} {given} {given.model_dump_json()}"


def test_the_url_of_redis_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("redis://host\n")
    monkeypatch.setenv("VNOME_REDIS_FILE", str(file))
    assert Settings().redis_url() == "redis://host"
    monkeypatch.setenv("VNOME_REDIS_FILE", "")  # as a compose file passes what is not set
    assert Settings().redis_url() == EMBEDDED
