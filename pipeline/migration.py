"""From a catalogue of schema 1 to this version's, by way of a file that holds all of it until the end."""

import json
from collections.abc import Callable
from pathlib import Path

from pipeline import keys, schema1
from pipeline.backup import restore_backup, write_videos
from pipeline.errors import InputError
from pipeline.library import SCHEMA_VERSION, Library
from pipeline.store import Store


def migrate(store: Store, path: Path, report: Callable[[int, int], None]) -> int:
    """Carries the catalogue over and returns how many videos it has. The file stays, as a backup.

    A kill at any point loses nothing: the same call goes on where it was, and once the old catalogue is cleared,
    `vnome restore` of the file does the rest. report: called with steps done and steps in all. Raises InputError when
    there is nothing to carry over or the file is in the way, StoreError.
    """
    with store.errors():
        schema = json.loads(store.client.get(keys.SCHEMA) or "{}")
        count = int(store.client.hlen(keys.VIDEOS))
    if schema.get("schema") != schema1.VERSION:
        raise InputError(f"the catalogue has schema {SCHEMA_VERSION} already, there is nothing to migrate")
    # 1. All of it in a file.
    if not schema.get("cleared"):
        if path.exists():
            raise InputError(f"{path} is there already; give the name of a new file")
        write_videos(schema1.read_videos(store), count, path, lambda done, total: report(done, 2 * total))
        with store.errors():
            store.client.set(keys.SCHEMA, json.dumps({**schema, "cleared": True}))
    if not path.is_file():
        raise InputError(f"{path} is not there; give the file of the migration that was interrupted")
    # 2. The old one goes.
    with store.errors():
        for pattern in schema1.PATTERNS:
            for name in store.client.scan_iter(match=pattern, count=1000):
                store.client.delete(name)
        store.client.delete(keys.VIDEOS, keys.NUMBERS, keys.PENDING, keys.POSTINGS)
        store.client.set(keys.SCHEMA, json.dumps({"schema": SCHEMA_VERSION, "encoder": None}))
    # 3. From the file it comes back.
    restored = restore_backup(Library(store), path, lambda done, total: report(total + done, 2 * total))
    return len(restored)
