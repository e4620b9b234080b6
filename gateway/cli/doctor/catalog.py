"""Every check, in the order people read them: what others build on comes first."""

from __future__ import annotations

from gateway.cli.doctor import (
    configuration,
    database,
    files,
    gateway_port,
    machine,
    model,
)
from gateway.cli.doctor.check import Check

CHECKS = (
    Check("python", "Is Python new enough?", machine.python),
    Check("sqlite", "Is SQLite new enough?", machine.sqlite),
    Check("packages", "Do our import names belong to us alone?", machine.packages),
    Check("clock", "Is the clock plausible?", machine.clock),
    Check("certificates", "Can https servers be trusted?", machine.certificates),
    Check("settings", "Does every setting fit, and is every name known?", configuration.settings),
    Check("home", "Can the home be written, by its owner alone?", files.home),
    Check("secrets", "May only their owner read files with secrets?", files.secrets),
    Check("space", "Is there room on the disk, and is it this machine's?", files.space),
    Check("database", "Is it whole, of a known schema, and who holds it?", database.database),
    Check("workspace", "Can agents and routes be used?", configuration.workspace),
    Check("address", "Who may connect, and is that safe?", configuration.address),
    Check("gateway", "Does the gateway that runs here answer?", gateway_port.gateway),
    Check("port", "Is the port free, or who has it?", gateway_port.port),
    Check("discord", "Is a bot's token set for nothing?", configuration.discord),
    Check("model", "Which model answers, and with `--online`: does it?", model.model),
)
