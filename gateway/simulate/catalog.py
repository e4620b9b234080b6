"""Every fault the simulator can show, by name. Adding one: a row in the file of its group."""

from __future__ import annotations

from gateway.core.errors import ConfigError
from gateway.core.suggestions import did_you_mean
from gateway.simulate.fault import Fault
from gateway.simulate.faults_body import BODY
from gateway.simulate.faults_connection import CONNECTION
from gateway.simulate.faults_refusal import OVERFLOW, STATUS
from gateway.simulate.faults_stream import STREAM

GROUPS: dict[str, tuple[Fault, ...]] = {
    "status": STATUS,
    "overflow": OVERFLOW,
    "body": BODY,
    "stream": STREAM,
    "connection": CONNECTION,
}

FAULTS: dict[str, Fault] = {fault.name: fault for group in GROUPS.values() for fault in group}


def find(name: str) -> Fault:
    """The fault of this name, `_` counting as `-`; raises `ConfigError` with what is near."""
    fault = FAULTS.get(name.strip().lower().replace("_", "-"))
    if fault is not None:
        return fault
    hint = did_you_mean(name, FAULTS, otherwise="see turngate simulate --list")
    raise ConfigError(f"there is no fault {name!r}; {hint}")
