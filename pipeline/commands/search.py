"""`vnome search`: videos by title, moments by what is said in them."""

from typing import Annotated

import typer

from pipeline.console import print_json, timecode
from pipeline.errors import EXIT_DONE, EXIT_UNKNOWN
from pipeline.library import Library
from pipeline.search import Search
from pipeline.store import open_store


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="All of them must be there.")],
    language: Annotated[str | None, typer.Option(help="Of subtitles.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Results at most.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Find videos by title, and moments by what the subtitles say."""
    with open_store() as store:
        found = Search(Library(store)).find(" ".join(words), None, language)
    if json:
        print_json({"results": [hit.document() for hit in found[:limit]], "total": len(found)})
    else:
        for hit in found[:limit]:
            print(f"{timecode(hit.at_seconds)}  {hit.video}  {hit.kind}  {hit.text}")
        if not found:
            print("nothing found")
    return EXIT_DONE if found else EXIT_UNKNOWN
