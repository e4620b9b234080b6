"""Mirror of `gateway.store.postgres`."""
