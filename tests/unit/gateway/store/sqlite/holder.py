"""Another process that opens a database: says so, opens a run, and waits to be killed.

`python -m tests.unit.gateway.store.sqlite.holder <file>`; prints `open`, or the error that came.
"""

import asyncio
import sys
from pathlib import Path

from gateway.core.errors import TurngateError
from gateway.store.sqlite.store import open_sqlite
from tests.support.store_units import a_run, a_session, put


async def main(path: Path) -> None:
    try:
        store = await open_sqlite(path)
    except TurngateError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return
    await put(store, a_session(), a_run(lease_until=2**50), a_run(run_id="r2", lease_until=2**50))
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1])))
