"""Mirror of `channels.stdio`."""
