"""A restore that is killed as it is about to link, rename or replace.

`python -m tests.unit.gateway.store.sqlite.killed <call> <backup> <database>`.
"""

import os
import sqlite3
import sys
from pathlib import Path

from gateway.store.sqlite import upkeep

_, where, backup, database = sys.argv


def end(*_: object, **__: object) -> None:
    os._exit(9)


reader = sqlite3.connect(database)  # in the way of the checkpoint, so that there is a log to move
reader.execute("SELECT count(*) FROM sessions").fetchall()
setattr(os, where.removeprefix("os."), end)
upkeep.restore(Path(backup), Path(database), lambda *_: None)
