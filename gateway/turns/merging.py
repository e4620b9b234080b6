"""Which waiting messages one turn answers: the pure rule.

Messages merge only when the result is the same: same sender, same place, same wish for an
agent. Commands and attachments stand alone, and what comes after them waits.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.store.base.inputs import InputRow


def next_group(waiting: Sequence[InputRow]) -> tuple[InputRow, ...]:
    """The inputs the next turn answers, in order of acceptance; empty when none waits."""
    if not waiting:
        return ()
    first = waiting[0]
    group = [first]
    if not first.barrier:
        for row in waiting[1:]:
            if row.barrier or _identity(row) != _identity(first):
                break
            group.append(row)
    return tuple(group)


def _identity(row: InputRow) -> tuple[str, ...]:
    # The route key holds channel, account, guild, group, thread and peer.
    return (row.principal, row.route_key, row.agent_override, row.agent_id, row.source)
