"""Mirror of `gateway.store`."""
