"""Mirror of `gateway.store.sqlite`."""
