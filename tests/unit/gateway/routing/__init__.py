"""Mirror of `gateway.routing`."""
