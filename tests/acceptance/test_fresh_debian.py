"""From a clone to the first answer on a Debian that has Python, make, pip and nothing else.

debootstrap makes its smallest root, so a library that a fuller machine happens to have is missing
here, too. An unprivileged user works in it. Needs root, the network or mirrors, and minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = ("python3", "make", "ca-certificates")
DEBIANS = [
    # Without ensurepip the interpreter's own pip installs from outside; with it, the one in .venv.
    *(("bookworm", "python3-pip"), ("bookworm", "python3-venv")),
    *(("trixie", "python3-pip"), ("trixie", "python3-venv")),
]
USER, UID = "newcomer", 4242
PATIENCE_S = 1500.0
CONFIGURED = [
    *("PIP_CERT", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"),
    *("npm_config_registry", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"),
    *("https_proxy", "http_proxy", "no_proxy"),
]
"""How this machine reaches its package indexes; files that these name are copied."""

RUN_AND_ASK = """
make run >run.log 2>&1 &
running=$!
until [ -s .turngate/gateway.json ]; do
  kill -0 $running 2>/dev/null || { cat run.log >&2; exit 1; }
  sleep 0.1
done
.venv/bin/turngate send --wait 600 'good morning'
code=$?
[ $code -eq 0 ] || cat run.log >&2
kill $running
wait $running
exit $code
"""
SPOILED_CACHE = """
make clean
chmod -R u+w ~/.cache/pip/wheels 2>/dev/null
rm -rf ~/.cache/pip/wheels && mkdir -p ~/.cache/pip/wheels && chmod 555 ~/.cache/pip/wheels
make setup
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),  # a Debian is installed, and everything into it
    pytest.mark.skipif(os.geteuid() != 0, reason="debootstrap and chroot need root"),
    pytest.mark.skipif(
        not shutil.which("debootstrap"), reason="needs debootstrap: apt-get install debootstrap"
    ),
]


@dataclass(frozen=True, slots=True)
class Debian:
    """A root file system with a clone in the home of its only user."""

    root: Path

    def does(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script as the user, in a process namespace that ends with it."""
        kept = {name: os.environ[name] for name in CONFIGURED if name in os.environ}
        environment = {
            **{"HOME": f"/home/{USER}", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            **{"TURNGATE_PORT": "0", **kept},
        }
        inside = (
            'mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/dev/shm" &&'
            f' exec chroot --userspec={UID}:{UID} "$0" /usr/bin/env -i "$@"'
        )
        return subprocess.run(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
                *("sh", "-c", inside, str(self.root)),
                *(f"{name}={value}" for name, value in environment.items()),
                *("sh", "-c", f"cd /home/{USER}/turngate\n{script}"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


@pytest.fixture(scope="module", params=DEBIANS, ids="-".join)
def debian(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Debian]:
    suite, pip = request.param
    root = tmp_path_factory.mktemp(suite) / "root"
    packages = ",".join((*BASE, pip))
    made = subprocess.run(
        # What debootstrap mounts ends with it: nothing of this machine is in what we remove.
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            *("debootstrap", "--variant=minbase", f"--include={packages}", suite, str(root)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr
    for name in ("/etc/resolv.conf", *(os.environ.get(name, "") for name in CONFIGURED)):
        if name.startswith("/") and Path(name).is_file():
            (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, root / name[1:])
    home = root / "home" / USER
    subprocess.run(["git", "clone", "-q", str(ROOT), str(home / "turngate")], check=True)
    subprocess.run(["chown", "-R", f"{UID}:{UID}", str(home)], check=True)
    with (root / "etc/passwd").open("a", encoding="utf-8") as users:
        users.write(f"{USER}:x:{UID}:{UID}::/home/{USER}:/bin/sh\n")
    yield Debian(root)
    shutil.rmtree(root.parent)  # two gigabytes that pytest would keep


def test_the_first_answer(debian: Debian) -> None:
    began = time.monotonic()  # noqa: TID251 - a person would look at a watch
    said = debian.does(RUN_AND_ASK)
    took_s = time.monotonic() - began  # noqa: TID251 - as above
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.strip(), said.stderr
    sys.stderr.write(f"\nfirst answer after {took_s:.1f} s: {said.stdout.strip()[:200]}\n")


def test_setup_is_whole_and_then_silent(debian: Debian) -> None:
    first = debian.does("make setup")
    assert first.returncode == 0, first.stdout + first.stderr
    second = debian.does("make setup")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_a_cache_that_cannot_be_written_is_named(debian: Debian) -> None:
    """As `sudo pip` leaves it: pip builds a wheel and fails to keep it, or does without."""
    said = debian.does(SPOILED_CACHE)
    if said.returncode == 0:  # pip before 23.1, which then installs without a wheel
        assert said.stderr == ""
        return
    [sentence] = [line for line in said.stderr.splitlines() if not line.startswith("make")]
    assert f"may not read or write /home/{USER}/.cache/pip/wheels" in sentence
    assert sentence.endswith(" .venv/pip.log")
