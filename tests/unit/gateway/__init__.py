"""Mirror of `gateway`."""
