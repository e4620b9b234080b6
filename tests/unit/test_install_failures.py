"""What pip and npm wrote, release by release, and the sentence `make` says instead."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "install.py"

spec = importlib.util.spec_from_file_location("turngate_ci_install", SCRIPT)
assert spec
assert spec.loader
install = importlib.util.module_from_spec(spec)
spec.loader.exec_module(install)

PIP_RETRY = (
    "WARNING: Retrying (Retry(total=4, connect=None, read=None, redirect=None, status=None)) after"
    " connection broken by "
)
PIP_END = "\nERROR: No matching distribution found for editables==0.6\n"


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        (
            f"{PIP_RETRY}'NewConnectionError(': [Errno 111] Connection refused')': /x/{PIP_END}",
            "no connection to the package index",
        ),
        (
            f"{PIP_RETRY}'NameResolutionError(\"Failed to resolve 'a.invalid'\")': /x/{PIP_END}",
            "no connection to the package index",
        ),
        (
            f"{PIP_RETRY}'ProxyError('Cannot connect to proxy.', OSError('Tunnel connection"
            f" failed: 403 Forbidden'))': /x/{PIP_END}",
            "the proxy http://127.0.0.1:3128 refuses",
        ),
        (
            f"{PIP_RETRY}'NewConnectionError(\"HTTPSConnection(host='127.0.0.1', port=3128): Failed"
            f" to establish a new connection: [Errno 111] Connection refused\")': /x/{PIP_END}",
            "the proxy http://127.0.0.1:3128 refuses",
        ),
        (
            f"{PIP_RETRY}'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]"
            f" certificate verify failed'))': /x/{PIP_END}",
            "does not trust the certificate",
        ),
        (
            "  WARNING: Building wheel for jsonrpcserver failed: [Errno 13] Permission denied:"
            " '/cache/wheels/b0'\nERROR: Could not build wheels for jsonrpcserver\n",
            "may not read or write /cache/wheels/b0",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied:"
            " '/cache/wheels/b0/x.whl'\nCheck the permissions.\n",
            "may not read or write /cache/wheels/b0/x.whl",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on"
            " device\n",
            "the disk is full",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "serves another file",
        ),
        (
            "ERROR: HTTP error 403 while getting http://a.invalid/x.whl\n",
            "the package index refuses the request",
        ),
        ("Looking in indexes: http://a.invalid\nUser for a.invalid: \n", "your credentials"),
        (PIP_END, "no file of editables==0.6 for this Python"),
        (
            "openai 3.5 requires anyio, which is not installed.\n",
            "openai 3.5 requires anyio, which is not installed; 'make clean'",
        ),
        ("npm error code ENOTFOUND\nnpm error errno ENOTFOUND\n", "no connection"),
        (
            "npm error code ECONNREFUSED\nnpm error FetchError: request to https://a.invalid/ws"
            " failed, reason: connect ECONNREFUSED 127.0.0.1:9\n",
            "no connection",
        ),
        (
            "npm error code ECONNREFUSED\nnpm error FetchError: request to https://a.invalid/ws"
            " failed, reason: connect ECONNREFUSED 127.0.0.1:3128\n",
            "the proxy http://127.0.0.1:3128 refuses",
        ),
        (
            "npm error code EACCES\nnpm error Error: EACCES: permission denied, mkdir"
            " '/cache/_cacache'\n",
            "may not read or write /cache/_cacache",
        ),
        ("npm error code EINTEGRITY\n", "serves another file"),
        ("npm error code E407\n", "the proxy http://127.0.0.1:3128 refuses"),
        ("Collecting x\nERROR: something new\nmore\n", "something new"),
        ("", "the command says nothing"),
    ],
)
def test_a_log_becomes_a_sentence(log: str, sentence: str) -> None:
    environment = {"HTTPS_PROXY": "http://user:secret@127.0.0.1:3128"}
    _, clause = install.explain(log, environment)
    assert sentence in clause
    assert "secret" not in clause


def test_what_only_warns_is_not_the_cause() -> None:
    """pip does without a cache it cannot write, and says so before it fails for another reason."""
    log = (
        "WARNING: The directory '/cache' or its parent directory is not owned or is not writable by"
        " the current user. The cache has been disabled.\n"
        "WARNING: Ignoring invalid cache entry origin file /cache/origin.json ([Errno 13]"
        f" Permission denied: '/cache/origin.json')\n{PIP_END}"
    )
    cause, _ = install.explain(log, {})
    assert cause is install.NO_FILE


def test_success_leaves_no_log_and_failure_keeps_all_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "pip.log"
    assert install.main(log, [sys.executable, "-c", "print('fine')"]) == 0
    assert not log.exists()
    assert install.main(log, [sys.executable, "-c", "raise SystemExit('ERROR: no such x')"]) == 1
    assert log.read_text("utf-8") == "ERROR: no such x\n"
    said = capsys.readouterr().err
    assert said == f"turngate: installing failed: no such x. All of the output: {log}\n"


def test_no_file_for_this_system_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    """The model inside has no wheel for some systems, and `make run` goes on without it."""
    command = [sys.executable, "-c", f"raise SystemExit({PIP_END!r})"]
    assert install.main(tmp_path / "pip.log", command) == install.NO_FILE_FITS
