"""Mirror of `gateway.delivery`."""
