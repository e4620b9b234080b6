"""What holds for every test."""

from __future__ import annotations

import signal

# A runner in the background hands down an ignored Ctrl-C, and so would every process a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
