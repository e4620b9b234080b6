"""The routes: everything that answers on the one port, behind the guard."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.types import ASGIApp

from gateway.http.bounds import Bounds
from gateway.http.clients import Clients
from gateway.http.elsewhere import Elsewhere
from gateway.http.guard import Guard
from gateway.http.hosts import Allowed
from gateway.http.landing import LandingPage
from gateway.http.listening import Listen
from gateway.http.ports import Surface
from gateway.http.probes import MetricsPage, Probes
from gateway.http.proxies import Proxies
from gateway.http.rpc_endpoint import RpcEndpoint
from gateway.http.socket_endpoint import SocketEndpoint
from gateway.http.tickets import TicketEndpoint


def build(
    surface: Surface,
    *,
    bounds: Bounds,
    clients: Clients,
    listen: Listen,
    bound: Sequence[tuple[str, int]],
    proxies: Proxies,
    url: str,
) -> ASGIApp:
    """The ASGI application behind the addresses and ports of `bound`."""
    rpc = RpcEndpoint(surface.rpc, surface.credentials, bounds, surface.clock, surface.pace)
    surface.credentials.on_revoked(rpc.revoked)
    probes = Probes(surface.health, surface.store_writable, surface.clock)
    socket = SocketEndpoint(
        surface.rpc, surface.credentials, bounds, clients, surface.health, surface.metrics.shed
    )
    metrics = MetricsPage(surface.metrics, surface.credentials, open_to_all=listen.open_metrics)
    # A bare router: the application class around it adds layers that would stay on the stack of
    # every socket, and answers for bugs, which the guard does.
    there: list[BaseRoute] = [
        Route("/", LandingPage(url, version("turngate")).get),
        WebSocketRoute("/ws", socket),
        Route("/rpc", rpc.post, methods=["POST"]),
        Route("/ticket", TicketEndpoint(surface.credentials).post, methods=["POST"]),
        Route("/healthz", probes.healthz),
        Route("/readyz", probes.readyz),
        Route("/metrics", metrics.get),
        *surface.pages,
    ]
    elsewhere = Elsewhere(there)
    routes = Router([*there, *elsewhere.wrong_ways()], default=elsewhere, redirect_slashes=False)
    return Guard(
        routes,
        allowed=Allowed(
            bound,
            scheme=listen.scheme,
            hosts=listen.allowed_hosts,
            origins=listen.allowed_origins,
        ),
        proxies=proxies,
        clock=surface.clock,
        ids=surface.ids,
        shed=surface.metrics.shed,
    )
