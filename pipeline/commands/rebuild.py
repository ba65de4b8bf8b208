"""`vnome rebuild`: the look-up table made anew."""

from typing import Annotated

import typer

from pipeline.console import print_json, progress_bar
from pipeline.errors import EXIT_DONE
from pipeline.library import Library
from pipeline.rebuild import rebuild as rebuild_table
from pipeline.store import open_store


def rebuild(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> int:
    """Make the look-up table anew from the stored tracks, while queries and changes of the catalogue go on."""
    with open_store() as store, progress_bar("rebuild", 1.0) as bar:
        library = Library(store)
        postings = rebuild_table(library, lambda done, total: bar.to(done / total))
        videos = len(library.numbers())
    if json:
        print_json({"videos": videos, "postings": postings})
    else:
        print(f"{videos} videos, {postings} postings")
    return EXIT_DONE
