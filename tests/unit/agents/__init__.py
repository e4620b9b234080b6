"""Mirror of `agents`."""
