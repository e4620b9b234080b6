"""Mirror of `channels.base`."""
