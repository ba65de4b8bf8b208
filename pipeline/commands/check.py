"""`vnome check`: whether the catalogue is whole."""

from typing import Annotated

import typer

from pipeline.care import Care
from pipeline.console import print_json
from pipeline.errors import EXIT_DONE, EXIT_UNKNOWN
from pipeline.library import Library
from pipeline.store import open_store


def check(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended from the tracks.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Check that records, tracks and look-up table of the catalogue agree. Exit code 1 when faults remain."""
    with open_store() as store:
        faults = Care(store).check(repair)
        library = Library(store)
        videos, postings = len(library.videos()), library.posting_count()
    remaining = [fault for fault in faults if not fault.mended]
    if json:
        print_json({"videos": videos, "postings": postings, "faults": [vars(fault) for fault in faults]})
    else:
        for fault in faults:
            print(f"{'mended' if fault.mended else 'fault':<8}{fault.video}: {fault.text}")
        print(f"{videos} videos, {postings} postings: {len(faults)} faults, {len(faults) - len(remaining)} mended")
        if remaining:
            print("vnome check --repair mends what it can; what remains is mended by indexing the film again")
    return EXIT_UNKNOWN if remaining else EXIT_DONE
