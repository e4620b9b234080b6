"""Mirror of `agents.tools`."""
