"""`vnome backup` and `vnome restore`: the catalogue in one file."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from pipeline.backup import restore_backup, write_backup
from pipeline.console import print_json, progress_bar
from pipeline.errors import EXIT_DONE
from pipeline.library import Library
from pipeline.store import open_store

JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="To write; replaced if it is there.", show_default=False)
    ],
    json: JSON = False,
) -> int:
    """Write the whole catalogue to one file, which any VNOME with the same encoder can restore."""
    with open_store() as store, progress_bar("backup", None) as bar:
        count = write_backup(Library(store), file, lambda done, _: bar.to(done))
    if json:
        print_json({"file": str(file), "videos": count, "bytes": file.stat().st_size})
    else:
        print(f"{file}: {count} videos, {file.stat().st_size / 1e6:.1f} MB")
    return EXIT_DONE


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="That vnome backup wrote.", show_default=False)],
    json: JSON = False,
) -> int:
    """Add the videos of a backup to the catalogue; what is there and unchanged is left alone."""
    with open_store() as store, progress_bar("restore", None) as bar:
        library = Library(store)
        library.recover()
        restored = restore_backup(library, file, lambda done, _: bar.to(done))
    if json:
        print_json({"videos": [vars(one) for one in restored]})
    else:
        counts = Counter(one.outcome for one in restored)
        print(f"{file}: {', '.join(f'{count} {outcome}' for outcome, count in sorted(counts.items())) or 'no videos'}")
    return EXIT_DONE
