"""The handlers, one file a namespace; what can be called is listed in `gateway.rpc.catalog`."""
