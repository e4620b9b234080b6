"""Mirror of `gateway.events`."""
