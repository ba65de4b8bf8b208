"""Folders that a user names for what a command writes."""

from pathlib import Path

from pipeline.errors import InputError


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, where they are missing. Raises InputError when that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be made a folder: {error.strerror}; give another --out") from None
