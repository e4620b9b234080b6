"""Mirror of `channels`."""
