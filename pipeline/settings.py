"""Settings, read from the environment (`VNOME_...`)."""

from functools import cache
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.errors import InputError
from pipeline.secret_file import secret_of

EMBEDDED = "embedded"
PLAINTEXT = "plaintext"

GivenFile = Annotated[Path | None, BeforeValidator(lambda given: given or None)]  # a variable may be there and empty


class Settings(BaseSettings):
    """Where state lives, how it is reached, and which models are used. Secrets are not in its `repr`.

    home: data folder; default the platform's user data folder.
    redis, redis_file: see `redis_url`.
    kafka: bootstrap servers, HOST:PORT with commas between; not needed by the single-machine commands.
    kafka_...: see `pipeline.kafka_security`.
    encoder, detector: folders of bundles; default those that VNOME ships.
    recogniser: folder of a bundle that labels frames, "none" for none; default the one that VNOME ships.
    threads: see `model_threads`. int8: see `int8_models`.
    """

    model_config = SettingsConfigDict(env_prefix="VNOME_")

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("vnome", appauthor=False)))
    redis: SecretStr | None = None
    redis_file: GivenFile = None
    encoder: Path | None = None
    detector: Path | None = None
    recogniser: Path | None = None
    threads: str = ""
    int8: str = "auto"
    kafka: str = ""
    kafka_security: str = PLAINTEXT
    kafka_user: str = ""
    kafka_password: SecretStr | None = None
    kafka_password_file: GivenFile = None
    kafka_mechanism: str = ""
    kafka_ca: GivenFile = None
    kafka_cert: GivenFile = None
    kafka_key: GivenFile = None

    def redis_url(self) -> str:
        """EMBEDDED, the default, or a URL, which may hold a password; `pipeline.store` says of which form.

        Raises InputError when it is in a file that cannot be used.
        """
        url = secret_of("VNOME_REDIS", self.redis, self.redis_file)
        return EMBEDDED if url is None else url.get_secret_value()

    def model_threads(self) -> int | None:
        """Processor threads of the models, None for all that the process may use. Raises InputError for no number."""
        if not self.threads:
            return None
        if not self.threads.isascii() or not self.threads.isdigit() or int(self.threads) < 1:
            raise InputError(f"VNOME_THREADS={self.threads} is no number of threads; give 1 or more, or unset it")
        return int(self.threads)

    def int8_models(self) -> bool | None:
        """Whether models run in 8-bit numbers where there are such; None where the processor is better at it.

        Raises InputError for anything but "auto", "on" and "off".
        """
        choices = {"auto": None, "on": True, "off": False}
        if self.int8 not in choices:
            raise InputError(f"VNOME_INT8={self.int8} is no choice; give auto, on or off, or unset it")
        return choices[self.int8]


@cache
def settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
