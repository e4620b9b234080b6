"""What a sender knows from outside: what it sent, what was acknowledged, what it was shown."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Ledger:
    """Fed with every line of every life."""

    sent: dict[str, tuple[str, str]] = field(default_factory=dict)
    """message id → (peer, text), in the order of sending."""
    acknowledged: dict[str, str] = field(default_factory=dict)
    """message id → turn id."""
    shown: dict[str, str] = field(default_factory=dict)
    """delivery key → text, in the order of first sight: what a receiver that dedupes has seen."""
    resent: int = 0
    """How often a known delivery key came again."""
    order: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """destination → turn ids in the order of first sight."""
    refused: set[str] = field(default_factory=set)
    """Message ids that met a full mailbox; they come again later, out of turn."""
    complaints: list[str] = field(default_factory=list)
    """What must never be heard."""

    def heard(self, line: dict[str, Any]) -> None:
        """Take in a line of the child's stdout."""
        match line["type"]:
            case "accepted":
                known = self.acknowledged.setdefault(line["id"], line["turn_id"])
                if known != line["turn_id"]:
                    self.complaints.append(f"{line['id']}: turn {known}, then {line['turn_id']}")
            case "message":
                key, text = line["delivery_key"], line["text"]
                if key in self.shown:
                    self.resent += 1
                    if self.shown[key] != text:
                        self.complaints.append(f"{key}: {self.shown[key]!r}, then {text!r}")
                else:
                    self.shown[key] = text
                    self.order[line["destination"]].append(line["turn_id"])
            case "refused":
                self.refused.add(line["id"])
                if line["error"]["kind"] != "busy":
                    self.complaints.append(f"refused: {line}")
            case "ended" if line["state"] == "answered":
                pass  # it was merged; the database is asked about that
            case _:
                self.complaints.append(f"unexpected: {line}")

    def unanswered(self) -> list[str]:
        """Ids sent and not acknowledged, in the order of sending."""
        return [id for id in self.sent if id not in self.acknowledged]
