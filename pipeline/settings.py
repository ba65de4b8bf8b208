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
    redis: "embedded", or a `redis://`, `rediss://` or `unix://` URL.
    encoder, detector: folders of bundles; default those that VNOME ships.
    """

    model_config = SettingsConfigDict(env_prefix="VNOME_")

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("vnome", appauthor=False)))
    redis: str = EMBEDDED
    encoder: Path | None = None
    detector: Path | None = None


@cache
def settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
