"""PgBouncer before the tests' PostgreSQL, where Debian's package `pgbouncer` is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

BINARY = shutil.which("pgbouncer") or next(
    (path for path in ("/usr/sbin/pgbouncer",) if Path(path).exists()), None
)
# A socket in a folder of its own: no other test can take the place of a file's name.
_PORT = 6432
MISSING = "needs PgBouncer: apt install pgbouncer"


@contextlib.contextmanager
def pooled(server_url: str, *, mode: str, more: str = "") -> Iterator[str]:
    """The address of the same database behind a PgBouncer in this mode, for a with block."""
    assert BINARY is not None, MISSING
    parts = urlsplit(server_url)
    host = parse_qs(parts.query).get("host", [parts.hostname or "127.0.0.1"])[0]
    folder = Path(tempfile.mkdtemp(prefix="turngate-pooler-"))
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"""[databases]
* = host={host} port={parts.port or 5432} user={parts.username}
[pgbouncer]
listen_addr =
listen_port = {_PORT}
unix_socket_dir = {folder}
auth_type = any
pool_mode = {mode}
ignore_startup_parameters = extra_float_digits
{more}
"""
    )
    # PgBouncer refuses to be root, and the server's socket is in a folder of the server's user.
    user = ["setpriv", f"--reuid={Path(host).stat().st_uid}", "--clear-groups"]
    if os.geteuid() == 0:
        os.chown(folder, Path(host).stat().st_uid, -1)
    folder.chmod(0o755)
    log = (folder / "pgbouncer.log").open("wb")
    process = subprocess.Popen(
        [*(user if os.geteuid() == 0 else []), BINARY, str(settings)], stderr=log, stdout=log
    )
    try:
        while process.poll() is None and not _listens(folder):
            time.sleep(0.01)
        assert process.poll() is None, (folder / "pgbouncer.log").read_text()
        yield f"postgresql://{parts.username}@{parts.path}?host={folder}&port={_PORT}"
    finally:
        process.terminate()
        process.wait()
        log.close()
        shutil.rmtree(folder)


def _listens(folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(folder / f".s.PGSQL.{_PORT}")) == 0
