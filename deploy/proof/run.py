"""The proof as a command."""

import argparse
import signal
import sys
import time
from pathlib import Path

from proof import checks, images
from proof.engine import CACHE, Engine, MissingError
from proof.stack import Stack
from proof.table import Table

EXIT_FAILED, EXIT_MISSING = 1, 3
CRASHES = ("processor", "matcher", "camera", "gateway", "redis", "kafka", "prometheus")


def main() -> int:
    """Its exit code: 0 all that could be checked is well, 1 something failed, 3 nothing can be checked here."""
    parser = argparse.ArgumentParser(prog="deploy/test", description="Proves the images and the stack on this machine.")
    parser.add_argument("--only", choices=("images", "stack", "cluster"), action="append", help="default all")
    parser.add_argument("--gpu", action="store_true", help="build the gpu image, too (4 GB)")
    parser.add_argument("--out", type=Path, default=CACHE / "out", help="folder of what is kept, as the SBOM")
    options = parser.parse_args()
    wanted = options.only or ["images", "stack", "cluster"]
    options.out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # then all is taken down as at an end
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's `&` has switched off
    table, began = Table(), time.monotonic()
    try:
        with Engine() as engine:
            images.bases(engine, table)
            targets = ["cpu", "edge", *(["gpu"] if options.gpu else [])]
            for target in targets:
                images.built(engine, table, target)
            if not table.failed:
                _prove(engine, table, wanted, options.out)
    except MissingError as error:
        print(f"deploy/test: {error}", file=sys.stderr)
        return EXIT_MISSING
    finally:
        if table.rows:
            print(table)
            print(f"{time.monotonic() - began:.0f} s in all")
    return EXIT_FAILED if table.failed else 0


def _prove(engine: Engine, table: Table, wanted: list[str], out: Path) -> None:
    if "images" in wanted:
        images.start(engine, table)
        images.bill_of_materials(engine, table, out)
    if "stack" in wanted:
        stack = Stack(engine, ["compose.yaml"], ["demo", "monitoring"])
        with stack:
            checks.comes_up(stack, table)
            if stack.key:
                checks.answers(stack, table)
                checks.measured(stack, table)
                checks.pictured(stack, table)
                checks.hardened(stack, table)
                checks.edge(stack, engine, table, out)
                checks.restarts(stack, table)
                checks.upgrades(stack, table)
                checks.heals(stack, table, CRASHES)
        _nothing_left(stack, table)
    if "cluster" in wanted:
        stack = Stack(engine, ["compose.yaml", "compose.cluster.yaml"], ["demo"])
        with stack:
            more = ("kafka-2", "kafka-3", "redis-2", "redis-3", "redis-cluster")
            checks.comes_up(stack, table, (*more, *checks.CORE))
            if stack.key:
                checks.replicated(stack, table)
        _nothing_left(stack, table)


def _nothing_left(stack: Stack, table: Table) -> None:
    with table.check("taken down: nothing is left") as note:
        left = stack.left()
        note.require(not left, f"nothing left: {left}")
