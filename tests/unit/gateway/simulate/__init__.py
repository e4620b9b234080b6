"""Mirror of `gateway.simulate`."""
