"""Where everything durable is kept: one contract, one adapter a database."""
