"""`vnome migrate`: a catalogue of an older VNOME."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import print_json, progress_bar
from pipeline.errors import EXIT_DONE
from pipeline.migration import migrate as carry_over
from pipeline.store import open_store


def migrate(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A new file that holds the catalogue meanwhile.", show_default=False)
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Carry a catalogue of an older VNOME over to this one. If interrupted, run it again; FILE stays as a backup."""
    with open_store() as store, progress_bar("migrate", 1.0) as bar:
        videos = carry_over(store, file, lambda done, total: bar.to(done / total))
    if json:
        print_json({"videos": videos, "backup": str(file)})
    else:
        print(f"{videos} videos carried over; {file} is a backup of them")
    return EXIT_DONE
