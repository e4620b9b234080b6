"""The network surface: sockets, HTTP, WebSocket, probes. The layers below know no sockets."""
