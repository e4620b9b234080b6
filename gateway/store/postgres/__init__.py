"""PostgreSQL: the store that several gateways share."""
