"""Mirror of `gateway.http`."""
