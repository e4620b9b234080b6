"""Mirror of `gateway.runs`."""
