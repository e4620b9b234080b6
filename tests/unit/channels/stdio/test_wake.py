"""The bell, and which streams have a descriptor."""

from __future__ import annotations

import io
import os
import select
from pathlib import Path

import pytest

from channels.stdio.wake import Wake, descriptor


def rung(wake: Wake) -> bool:
    return bool(select.select([wake.fd], [], [], 0)[0])


def test_the_bell_rings_for_good() -> None:
    wake = Wake()
    assert not rung(wake)
    wake.ring()
    wake.ring()
    assert rung(wake)
    assert rung(wake)
    wake.close()


def test_ringing_and_closing_leave_no_descriptor() -> None:
    before = len(os.listdir("/dev/fd"))
    wake = Wake()
    wake.close()
    wake.ring()
    assert len(os.listdir("/dev/fd")) <= before


def test_a_file_has_a_descriptor_and_memory_has_none(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        assert descriptor(file) == file.fileno()
    assert descriptor(io.StringIO()) is None
    with pytest.raises(ValueError, match="closed"):
        descriptor(file)
