"""Mirror of `gateway.hosting`."""
