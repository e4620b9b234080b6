"""Mirror of `gateway.conversations`: the use cases, called without a protocol around them."""
