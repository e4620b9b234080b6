"""Run pip or npm for the Makefile, and turn a failure into one sentence that says what to do.

    python .ci/install.py LOG COMMAND...

The command's output goes to the file LOG. pip's last line blames the package it happened to ask
for when the network is what failed; the reason stands further up, and `CAUSES` recognises it.
Exit codes: 0, `NO_FILE_FITS` when the index has no file for this Python and system, 1 for anything
else. It runs before anything is installed, so it uses the standard library alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

NO_FILE_FITS = 3
PROXY_NAMES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


class Cause(NamedTuple):
    """What pip or npm writes, and the clause for it; `{found}` is the pattern's group."""

    pattern: str
    clause: str


NO_FILE = Cause(
    r"no matching distribution found for ([^\s;]+)",
    "the package index has no file of {found} for this Python and system; try another Python:"
    " make PYTHON=/path/to/python3.12",
)
PROXY = Cause(
    r"ProxyError|cannot connect to proxy|tunnel connection failed|tunneling socket"
    r"|proxy authentication required|\bE407\b",
    "the proxy {proxy} refuses; correct HTTPS_PROXY and HTTP_PROXY, or unset them",
)
NETWORK = Cause(
    r"connection broken by|connection refused|connection reset|timed out|name resolution"
    r"|max retries exceeded|network is unreachable|no route to host"
    r"|\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b",
    "no connection to the package index; check the network, or name a mirror in PIP_INDEX_URL"
    " and npm_config_registry, or a proxy in HTTPS_PROXY",
)
CAUSES = (
    PROXY,  # before the network, since a proxy that refuses also says "connection refused"
    Cause(
        r"CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY|GET)|CERT_HAS_EXPIRED",
        "this machine does not trust the certificate of the package index; name the file of your"
        " authority in PIP_CERT and NODE_EXTRA_CA_CERTS",
    ),
    Cause(
        r"no space left on device|\bENOSPC\b",
        "the disk is full; free some space, or set TMPDIR and PIP_CACHE_DIR to another disk",
    ),
    Cause(
        r"(?:error|failed): (?:[^:\n]*: )?\[Errno (?:13|30)\][^'\n]*'([^'\n]+)'"
        r"|\b(?:EACCES|EPERM|EROFS)\b[^'\n]*'([^'\n]+)'",
        "this user may not read or write {found}; correct its owner and mode, or set PIP_CACHE_DIR"
        " and npm_config_cache to folders of your own",
    ),
    Cause(
        r"do not match the hashes|hashes are required|\bEINTEGRITY\b",
        "the package index serves another file than the lock file names; use another index, or run"
        " 'make lock' if you changed pyproject.toml",
    ),
    Cause(
        r"\b(?:40[13]|5\d\d) (?:Client|Server) Error|HTTP error (?:40[13]|5\d\d)"
        r"|\bE(?:40[13]|5\d\d)\b|^User for \S+:",
        "the package index refuses the request; check its address and your credentials with"
        " 'pip config list' and 'npm config list'",
    ),
    NETWORK,
    NO_FILE,
    Cause(
        r"^(.+ (?:requires|has requirement) .+, (?:which is not installed|but you have).*?)\.?$",
        "{found}; 'make clean' and the same once more helps where something old was left,"
        " 'make lock' where a lock file lacks a package",
    ),
)
OTHER = Cause(r"^(?:error: |npm (?:error|ERR!) |\u00d7 )\s*(.+)$", "{found}")
UNKNOWN = Cause("", "the command says nothing")


def explain(log: str, environment: Mapping[str, str]) -> tuple[Cause, str]:
    """The cause of a failure, and its clause; the first error in the log when no cause fits."""
    for cause in (*CAUSES, OTHER, UNKNOWN):
        if match := re.search(cause.pattern, log, re.IGNORECASE | re.MULTILINE):
            address = proxy(environment)
            if cause is NETWORK and _refused(log, address):
                cause = PROXY
            found = next((group for group in match.groups() if group), "")
            clause = cause.clause.format(
                found=found.strip(), proxy=address or "of the configuration"
            )
            return cause, clause
    raise AssertionError("UNKNOWN matches any text")


def proxy(environment: Mapping[str, str]) -> str:
    """The proxy's address without its password; empty when the environment names none."""
    address = next((environment[name] for name in PROXY_NAMES if environment.get(name)), "")
    return re.sub(r"//[^@/]*@", "//", address)


def _refused(log: str, address: str) -> bool:
    """Whether the connection that failed was one to the proxy: npm and new pips do not say so."""
    port = re.search(r":(\d+)/?$", address)
    failed = r"(?:connect E\w+ \S+:|Connection\(host='[^']*', port=){}\b"
    return bool(port and re.search(failed.format(port[1]), log))


def main(log: Path, command: list[str]) -> int:
    """Run the command; its exit code, and the log file when it failed."""
    with log.open("wb") as output:
        # No stdin: an index that asks for a password would wait at a prompt in the log.
        code = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        ).returncode
    if code == 0:
        log.unlink()
        return 0
    cause, clause = explain(log.read_text("utf-8", "replace"), os.environ)
    sys.stderr.write(f"turngate: installing failed: {clause}. All of the output: {log}\n")
    return NO_FILE_FITS if cause is NO_FILE else 1


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
    except KeyboardInterrupt:
        sys.exit(130)
