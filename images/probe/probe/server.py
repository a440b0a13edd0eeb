"""The server: uvicorn, with an end that loses no request.

uvicorn alone closes its listener and all idle connections in the moment of SIGTERM, while whoever routes to
this replica still sends. Here SIGTERM first turns readiness off and lets the traffic move away
(DRAIN_SECONDS; every answer now says `Connection: close`), then closes the listener, then WebSockets, then
waits for the requests under way; GRACE_SECONDS bounds it all.
"""

from __future__ import annotations

import asyncio
import socket
from types import FrameType

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from probe import log
from probe.app import create_app
from probe.runtime import Runtime
from probe.settings import CLOSING_SECONDS, Settings

# Reading what the kernel has already accepted takes a loop turn; this is ample.
LAST_REQUESTS_SECONDS = 0.1
WEBSOCKET_SECONDS = 2.0


class DrainingServer(uvicorn.Server):
    """uvicorn's server for one application, ended in the order that the module describes."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self.runtime = runtime

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.runtime.draining = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.sleep(self.runtime.settings.drain_seconds)
        for server in self.servers:
            server.close()
        self.runtime.closing.set()
        await asyncio.sleep(LAST_REQUESTS_SECONDS)
        await self._websockets_closed()
        await super().shutdown(sockets)

    async def _websockets_closed(self) -> None:
        """Until every peer has answered our close, at most WEBSOCKET_SECONDS."""
        for _ in range(int(WEBSOCKET_SECONDS / 0.05)):
            if not any(isinstance(peer, WebSocketsSansIOProtocol) for peer in self.server_state.connections):
                return
            await asyncio.sleep(0.05)


def serve(settings: Settings) -> int:
    """Serves on 0.0.0.0 until SIGTERM or SIGINT; returns the exit status (3: could not start)."""
    app = create_app(settings)
    under_way = settings.grace_seconds - settings.drain_seconds - CLOSING_SECONDS
    config = uvicorn.Config(
        app,
        host="0.0.0.0",
        port=settings.port,
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=64 * 1024,
        log_config=log.CONFIG,
        access_log=False,  # the middleware's lines have route and milliseconds
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        # Longer than the 60 s after which nginx closes an idle upstream connection: the side that sends the
        # next request must be the one that closes.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, int(under_way)),
    )
    server = DrainingServer(config, app.state.runtime)
    server.run()
    return 0 if server.started else 3
