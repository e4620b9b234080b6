"""The network surface: sockets, HTTP, WebSocket, probes. Below it nobody knows of a socket."""
