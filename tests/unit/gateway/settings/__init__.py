"""Mirror of `gateway.settings`."""
