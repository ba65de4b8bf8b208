"""Settings, read from the environment (`VNOME_...`)."""

from functools import cache
from pathlib import Path

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

EMBEDDED = "embedded"


class Settings(BaseSettings):
    """Where state lives, and which models are used.

    home: data folder; default the platform's user data folder.
    redis: "embedded", or a `redis://`, `rediss://`, `unix://` or `redis+cluster://` URL.
    kafka: bootstrap servers, HOST:PORT with commas between; not needed by the single-machine commands.
    encoder, detector: folders of bundles; default those that VNOME ships.
    recogniser: folder of a bundle that labels frames; default none.
    """

    model_config = SettingsConfigDict(env_prefix="VNOME_")

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("vnome", appauthor=False)))
    redis: str = EMBEDDED
    encoder: Path | None = None
    detector: Path | None = None
    recogniser: Path | None = None
    kafka: str = ""


@cache
def settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
