"""Mirror of `gateway.sessions`."""
