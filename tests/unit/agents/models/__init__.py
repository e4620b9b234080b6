"""Mirror of `agents.models`."""
