"""`vnome list` and `vnome remove`: the catalogue."""

from typing import Annotated

import typer

from pipeline.console import print_json, timecode
from pipeline.errors import EXIT_DONE
from pipeline.library import Library
from pipeline.store import open_store


def list_videos(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> int:
    """List the videos of the catalogue."""
    with open_store() as store:
        videos = Library(store).videos()
    if json:
        rows = [
            {
                "video": video.id,
                "title": video.title,
                "seconds": round(video.duration_seconds, 3),
                "codes": video.runs,
                "subtitles": list(video.subtitles),
                "added_at": video.added_at,
                "keep_seconds": video.keep_seconds or None,
            }
            for video in videos
        ]
        print_json({"videos": rows})
        return EXIT_DONE
    for video in videos:
        languages = f"  subtitles {', '.join(video.subtitles)}" if video.subtitles else ""
        length = f"live, {video.keep_seconds} s" if video.is_live else timecode(video.duration_seconds)
        print(f"{length}  {video.id}  {video.title}{languages}")
    if not videos:
        print("the catalogue is empty; add films with vnome index FILM...")
    return EXIT_DONE


def remove(
    videos: Annotated[
        list[str], typer.Argument(metavar="VIDEO...", help="Ids, as vnome list shows them.", show_default=False)
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Remove videos from the catalogue, with all that is stored of them."""
    with open_store() as store:
        library = Library(store)
        library.recover()
        for video in videos:
            library.get(video)  # an unknown id is told before anything is removed
        for video in videos:
            library.remove(video)
            if not json:
                print(f"removed    {video}")
    if json:
        print_json({"removed": videos})
    return EXIT_DONE
