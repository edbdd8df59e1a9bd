"""The socket of the site: HTTP on loopback, one thread a connection, nothing but GET and HEAD.

>>> with Server(Site("runs"), host="127.0.0.1", port=8000) as server:
...     server.serve()                               # until somebody interrupts it

A page of a stranger in the same browser can send requests to loopback, and by giving its own name the address 127.0.0.1 (DNS
rebinding) even read the answers. So a request is answered only where its ``Host`` is one that this server is known by.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import thalweg
from thalweg.errors import InputError
from thalweg.view.site import Answer, Site

SILENT = 60.0
"""Seconds after which a connection that says nothing is closed."""


class Server:
    """Listens from the moment it is made; ``port`` 0 takes any that is free.

    Raises ``InputError`` where the port is taken or the host is none of this machine's.
    """

    def __init__(self, site: Site, *, host: str = "127.0.0.1", port: int = 8000) -> None:
        if not 0 <= port <= 65535:
            raise InputError(f"port {port} is none: give a number from 1 to 65535, or 0 for any that is free")
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._http = _Http(site, host, port, family)
        except OSError as error:
            raise InputError(_why(error, host, port)) from None
        self.host, self.port = host, self._http.server_address[1]

    @property
    def url(self) -> str:
        """Where it answers."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{name}:{self.port}/"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(str(self._http.server_address[0])).is_loopback
        except ValueError:
            return False

    def serve(self) -> None:
        """Answers until ``close`` is called from another thread, or an exception such as Ctrl-C comes."""
        self._http.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """Stops answering and gives the port back."""
        self._http.ended = True
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.server_close()


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        other = f"--port {port % 65535 + 1}"
        return f"port {port} of {host} is in use: take another, as with {other}, or any that is free with --port 0"
    if error.errno == errno.EACCES:
        return f"port {port} is reserved for the system: take one above 1023, as with --port 8000"
    return f"{host} is no address of this machine: leave --host out to serve this machine alone"


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, site: Site, host: str, port: int, family: int) -> None:
        self.address_family = family
        self.site, self.ended = site, False
        super().__init__((host, port), _Handler)
        self.names = {"localhost", "127.0.0.1", "[::1]", host.lower()}

    def server_bind(self) -> None:
        """Without the look-up of the host's full name that the standard library makes, which can take seconds."""
        socket.socket.bind(self.socket, self.server_address)
        self.server_address = self.socket.getsockname()

    def handle_error(self, request: object, client_address: object) -> None:
        """A reader that went away in the middle of an answer is nobody's mistake."""

    def knows(self, host: str) -> bool:
        """Whether a ``Host`` is this server: by a name of its own, or by an address, which nobody can rebind."""
        name = host.lower().removesuffix(f":{self.server_address[1]}")
        if name in self.names or name == socket.gethostname().lower():
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return self.server_address[0] in ("0.0.0.0", "::")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = f"thalweg/{thalweg.__version__}"
    sys_version = ""
    timeout = SILENT
    server: _Http

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        if self.server.ended:  # a connection that was kept open
            self.close_connection = True
            return None
        if not self.server.knows(self.headers.get("Host", "")):
            said = b"This server answers under its own address alone.\n"
            return self._send(Answer(421, said, kind="text/plain; charset=utf-8"), body=body)
        return self._send(self.server.site.answer(self.path, known=self.headers.get("If-None-Match", "")), body=body)

    def _send(self, answer: Answer, *, body: bool) -> None:
        self.send_response(answer.status)
        headers = {
            "Content-Security-Policy": answer.policy,
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.body)),
            "Cache-Control": "no-cache",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        if answer.tag:
            headers["ETag"] = answer.tag
        if answer.status == 304:
            del headers["Content-Length"]
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body and answer.body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *words: object) -> None:
        """Nothing: the terminal is for what concerns its user."""
