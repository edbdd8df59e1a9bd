"""The socket: loopback, its own name alone, GET and HEAD, sentences for what goes wrong."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from thalweg.errors import InputError
from thalweg.view import Server, Site
from view import folders


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folders.run(tmp_path)
    server = Server(Site(tmp_path), port=0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server
    server.close()
    thread.join()


def ask(server: Server, method: str = "GET", path: str = "/", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    answer.body = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


def test_it_answers_on_loopback(server: Server) -> None:
    assert server.url == f"http://127.0.0.1:{server.port}/"
    assert server.loopback
    answer = ask(server)
    assert answer.status == 200
    assert b"digits-1" in answer.body  # type: ignore[attr-defined]
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    known = ask(server, **{"If-None-Match": answer.headers["ETag"]})
    assert (known.status, known.body) == (304, b"")  # type: ignore[attr-defined]
    head = ask(server, "HEAD")
    assert head.status == 200
    assert head.headers["Content-Length"] == answer.headers["Content-Length"]
    assert ask(server, path="/page/..%2f..%2fetc%2fpasswd").status == 404
    icon = ask(server, path="/favicon.ico")
    assert (icon.status, icon.headers["Content-Type"]) == (200, "image/svg+xml")


def test_a_page_of_others_asks_this_server_for_nothing(server: Server, tmp_path: Path) -> None:
    folders.page(tmp_path / "check.html")
    policy = ask(server, path="/page/check.html").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "connect-src" not in policy


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"])
def test_nothing_can_be_changed_through_it(server: Server, method: str) -> None:
    assert ask(server, method, "/page/digits-1").status == 501


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200), ("localhost:{port}", 200), ("LOCALHOST:{port}", 200), ("[::1]:{port}", 200),
        ("localhost", 200),
        ("evil.example:{port}", 421), ("evil.example", 421), ("127.0.0.1.evil.example:{port}", 421), ("localhost:1", 421),
        ("10.0.0.1:{port}", 421), ("", 421),
    ],
)  # fmt: skip
def test_it_answers_under_its_own_name_alone(server: Server, host: str, status: int) -> None:
    answer = ask(server, Host=host.format(port=server.port))
    assert answer.status == status
    assert (b"digits-1" in answer.body) == (status == 200)  # type: ignore[attr-defined]


def test_many_at_once(server: Server) -> None:
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda path=path: statuses.append(ask(server, path=path).status))
        for path in ("/", "/page/digits-1?light") * 6
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 12


def test_a_port_in_use_names_another(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"port {server.port} of 127.0.0.1 is in use.*--port {server.port + 1}"):
        Server(Site(tmp_path), port=server.port)


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("127.0.0.1", 70000, "port 70000 is none: give a number from 1 to 65535"),
        ("127.0.0.1", -1, "port -1 is none"),
        ("192.0.2.1", 0, "192.0.2.1 is no address of this machine"),
        ("no such host", 0, "no such host is no address of this machine"),
    ],
)  # fmt: skip
def test_what_cannot_be_listened_to(tmp_path: Path, host: str, port: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Server(Site(tmp_path), host=host, port=port)


def test_another_host_than_loopback_is_known(tmp_path: Path) -> None:
    with Server(Site(tmp_path), host="0.0.0.0", port=0) as server:
        assert not server.loopback
