"""Mirror of `gateway.observing`."""
