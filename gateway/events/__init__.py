"""The event log: what happened, in the order it became durable."""
