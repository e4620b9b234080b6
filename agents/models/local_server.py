"""The process that runs the local model: llama.cpp's own server, on loopback, for one owner.

A program, not a module to import: its owner starts it by path and speaks to it over two pipes. The
first line of stdin says everything it needs, the key included; one line of stdout says where it
listens, or why it cannot. It ends when stdin does, so it never outlives its owner, however that
ended. A lock beside the weights keeps it to one on a machine. Standard library and xllamacpp only.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import sys
import threading
from typing import Any, NoReturn

NICE = 5
"""Gateways come first: answering a little later is all that may happen here."""

OPENMP = "libgomp.so.1"
"""What llama.cpp is linked against on Linux; slim systems lack it."""


def main() -> None:
    _find_openmp()
    # Whatever the library prints must not be taken for our one line.
    report = os.dup(1)
    os.dup2(2, 1)
    os.nice(NICE)
    wanted = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_until_the_owner_ends, daemon=True).start()
    if (holder := _lock(wanted["lock"])) is not None:
        _end(report, "busy", holder)
    try:
        import xllamacpp  # noqa: PLC0415 - an optional dependency, and the import is the check
    except ModuleNotFoundError as error:
        _end(report, "missing", str(error))
    except ImportError as error:  # it is installed, and a library it stands on is not
        _end(report, "unloadable", str(error))
    try:
        server = xllamacpp.Server(_params(xllamacpp.CommonParams(), wanted))
    except Exception as error:  # noqa: BLE001 - the boundary of the process: its owner is told
        _end(report, "failed", f"{type(error).__name__}: {error}")
    _tell(report, {"url": server.listening_address})
    threading.Event().wait()


def _find_openmp() -> None:
    """Have the loader find the OpenMP runtime in cmeel-libomp where the system has none.

    The library path is read once, when a process starts: hence a start of the same program in this
    process. Opening the file first would not do, because its own name is another than the wanted.
    """
    if sys.platform != "linux" or "KMP_BLOCKTIME" in os.environ:
        return
    os.environ["KMP_BLOCKTIME"] = "0"  # threads that spin while they wait starve everybody else
    try:
        ctypes.CDLL(OPENMP)
    except OSError:
        folders = [os.path.join(folder, "cmeel.prefix", "lib") for folder in sys.path]
        folder = next((f for f in folders if os.path.exists(os.path.join(f, OPENMP))), "")
        if folder:
            known = os.environ.get("LD_LIBRARY_PATH")
            os.environ["LD_LIBRARY_PATH"] = f"{known}:{folder}" if known else folder
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _params(params: Any, wanted: dict[str, Any]) -> Any:
    """The server's settings: loopback, one key, no pages, nothing that shows what others asked."""
    params.model.path = wanted["path"]
    params.model_alias = {wanted["name"]}
    params.n_ctx = wanted["window"] * wanted["parallel"]
    params.n_parallel = wanted["parallel"]
    params.n_threads_http = wanted["parallel"] + 2
    params.cpuparams.n_threads = wanted["threads"]
    params.cpuparams.poll = 0  # threads that spin while they wait starve each other on a busy core
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [wanted["key"]]
    params.cors_origins = ""
    params.cors_credentials = False
    params.endpoint_slots = False
    params.endpoint_props = False
    params.endpoint_metrics = False
    params.ui = False
    params.offline = True
    params.cache_ram_mib = 0  # remembers other conversations' prompts otherwise, up to 8 GiB
    params.fit_params = False  # the window is asked for as it is wanted
    params.verbosity = -1  # its lines may hold what people wrote
    return params


def _lock(path: str) -> str | None:
    """Take the lock for the life of this process, or say who has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "unknown"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"pid {os.getppid()}\n".encode(), 0)
    return None


def _until_the_owner_ends() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)  # threads of the library are never waited for


def _end(report: int, problem: str, detail: str) -> NoReturn:
    _tell(report, {"problem": problem, "detail": detail})
    os._exit(1)


def _tell(report: int, message: dict[str, str]) -> None:
    os.write(report, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
