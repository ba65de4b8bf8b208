"""`vnome keys`: API keys of the gateway."""

from datetime import datetime
from typing import Annotated

import typer

from pipeline.api_keys import QUERY, ApiKeys
from pipeline.console import print_json
from pipeline.errors import EXIT_DONE
from pipeline.store import open_store

keys = typer.Typer(no_args_is_help=True, help="API keys of the gateway: add, list, revoke.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="For whom or what, as in lobby-phones.")],
    scope: Annotated[str, typer.Option(help="query: ask; manage: change the catalogue, too; admin: all.")] = QUERY,
    rate: Annotated[
        float,
        typer.Option(min=0, help="Requests a second over some time.  [default: the gateway's]", show_default=False),
    ] = 0.0,
    sessions: Annotated[
        int, typer.Option(min=0, help="Live sessions at once.  [default: the gateway's]", show_default=False)
    ] = 0,
    json: Json = False,
) -> int:
    """Make a key and print it: this once, for only its hash is stored."""
    with open_store() as store:
        key, text = ApiKeys(store).add(name, scope, rate, sessions)
    if json:
        print_json({"key": text, **key.document()})
    else:
        print(text)
    return EXIT_DONE


@keys.command("list")
def list_keys(json: Json = False) -> int:
    """Show all keys, without their secrets."""
    with open_store() as store:
        found = ApiKeys(store).all()
    if json:
        print_json({"keys": [key.document() for key in found]})
    else:
        for key in found:
            print(f"{key.id}  {key.scope:<6}  {datetime.fromtimestamp(key.created):%Y-%m-%d %H:%M}  {key.name}")
    return EXIT_DONE


@keys.command()
def revoke(id: Annotated[str, typer.Argument(metavar="ID", help="As vnome keys list shows it.")]) -> int:
    """End a key: from now on it opens nothing; live sessions that it opened end within a minute."""
    with open_store() as store:
        key = ApiKeys(store).revoke(id)
    print(f"revoked {key.id}  {key.scope}  {key.name}")
    return EXIT_DONE
