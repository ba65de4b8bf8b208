"""The `vnome` command: finds the subcommand among the registered ones, runs it, and turns errors into one line."""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

import typer

from pipeline.errors import EXIT_DONE, EXIT_INPUT, VnomeError
from pipeline.version import VERSION

COMMAND_GROUP = "vnome.commands"
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main() -> None:
    """Runs the command line of this process and exits with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command line and returns the exit code; only the subcommand asked for is imported."""
    commands = {entry.name: entry for entry in entry_points(group=COMMAND_GROUP)}
    asked = arguments[0] if arguments and arguments[0] in commands else None
    app = _app([commands[asked]] if asked else list(commands.values()))
    try:
        result = app(arguments or ["--help"], prog_name="vnome", standalone_mode=False)
    except VnomeError as error:
        print(f"vnome: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("vnome: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except typer.Exit as stop:
        return stop.exit_code
    except BrokenPipeError:  # the reader of our output, `head` say, has had enough
        sys.stderr.close()
        return EXIT_DONE
    except Exception as error:
        if not _is_usage_error(error):
            raise
        print(f"vnome: {' '.join(str(error.format_message()).split())}", file=sys.stderr)  # type: ignore[attr-defined]
        return EXIT_INPUT
    return result if isinstance(result, int) else EXIT_DONE


def _is_usage_error(error: Exception) -> bool:
    """Typer's own errors of use; their class lives in click or, since 0.24, inside typer."""
    return any(base.__name__ == "ClickException" for base in type(error).__mro__)


def _app(entries: list[EntryPoint]) -> typer.Typer:
    app = typer.Typer(
        name="vnome",
        help="Identify live video: which film is on the screen, and at which second.",
        pretty_exceptions_enable=False,
        add_completion=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    for entry in sorted(entries, key=lambda entry: entry.name):
        command: Callable[..., Any] | typer.Typer = entry.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=entry.name)
        else:
            app.command(entry.name)(command)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        print(f"vnome {VERSION}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """What is asked of `vnome` itself is done by the callbacks of its options."""
