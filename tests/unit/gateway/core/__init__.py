"""Mirror of `gateway.core`."""
