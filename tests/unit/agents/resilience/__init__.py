"""Mirror of `agents.resilience`."""
