"""Faults in time and in the connection: nothing comes, little comes late, the socket breaks."""

from __future__ import annotations

from gateway.simulate.answers import DONE, Ending, Raw, Wait
from gateway.simulate.fault import Fault
from gateway.simulate.faults_stream import HELLO, STOP

_WHOLE = b"".join((*HELLO, STOP, DONE))
_SLOW = 40
"""Bytes that take a second each; the others come at once, so that it has an end."""

CONNECTION = (
    Fault("silent", "timeout", "accepted, and nothing ever comes", Raw((Wait(),))),
    Fault("silent-headers", "timeout", "headers, and nothing behind them", Raw((b"", Wait()))),
    Fault(
        "silent-after-text",
        "timeout",
        "half an answer, then nothing",
        Raw((*HELLO, Wait(), STOP, DONE)),
    ),
    Fault(
        "keep-alive-only",
        "timeout",
        "a comment each 15 s and never an answer",
        Raw((b": PROCESSING\n\n", Wait(15)) * 1000),
    ),
    Fault(
        "slow-first-byte", "answer", "a good answer after 20 s", Raw((Wait(20), *HELLO, STOP, DONE))
    ),
    Fault(
        "gap", "answer", "10 s between two events", Raw((HELLO[0], Wait(10), HELLO[1], STOP, DONE))
    ),
    Fault(
        "byte-a-second",
        "answer",
        "one byte a second, forty times",
        Raw(
            (
                *(piece for byte in _WHOLE[:_SLOW] for piece in (bytes((byte,)), Wait(1))),
                _WHOLE[_SLOW:],
            )
        ),
    ),
    Fault("closed", "server", "closed before the headers", Raw((), ending=Ending.CUT)),
    Fault("reset", "server", "reset before the headers", Raw((), ending=Ending.RESET)),
    Fault(
        "stale",
        "answer",
        "a good answer; the connection is closed behind it without a word",
        Raw((*HELLO, STOP, DONE), ending=Ending.STALE),
    ),
    Fault(
        "deaf",
        "answer",
        "a good answer; what is asked on the connection afterwards is never read",
        Raw((*HELLO, STOP, DONE), ending=Ending.DEAF),
    ),
)
