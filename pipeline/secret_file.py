"""Secrets, which a variable holds or, as containers are given them, a file that another variable names."""

from pathlib import Path

from pydantic import SecretStr

from pipeline.errors import InputError


def secret_of(variable: str, given: SecretStr | None, file: Path | None) -> SecretStr | None:
    """What `variable` gave, or what the file of `variable`_FILE holds, without the white space around it.

    None where neither is set. Raises InputError, without the secret, when both are, or the file cannot be used.
    """
    if file is None:
        return given
    if given is not None and given.get_secret_value():
        raise InputError(f"{variable} and {variable}_FILE are both set; unset one of them")
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InputError(f"{variable}_FILE={file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{variable}_FILE={file} is no text") from None
    if not text:
        raise InputError(f"{variable}_FILE={file} is empty; write the secret into it")
    return SecretStr(text)
