"""A real HTTPS server on loopback, with a certificate of a test authority; it answers as a test tells it."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Server:
    """What it says next, and the headers of what it was asked."""

    port: int
    authority: Path
    answer: Callable[[dict[str, str]], Reply]
    asked: list[dict[str, str]] = field(default_factory=list)

    def url(self, path: str = "/list?key=secret", host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"

    def says(self, data: bytes, status: int = 200, **headers: str) -> None:
        made = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda _asked: (status, made, data)


_AUTHORITY = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # without it Python 3.13 refuses what it signs


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Make an authority, and a certificate of its for localhost; gives the authority, the certificate, its key."""
    authority, key = folder / "ca.pem", folder / "ca.key"
    cert, cert_key, request = folder / "cert.pem", folder / "cert.key", folder / "cert.csr"
    extension = folder / "san"
    extension.write_text("subjectAltName=DNS:localhost\n")
    new: list[str | Path] = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    commands: tuple[list[str | Path], ...] = (
        [*new, "-x509", "-days", "30", "-subj", "/CN=test authority", *_AUTHORITY, "-keyout", key, "-out", authority],
        [*new, "-subj", "/CN=localhost", "-keyout", cert_key, "-out", request],
        ["openssl", "x509", "-req", "-in", request, "-CA", authority, "-CAkey", key, "-CAcreateserial",
         "-days", "30", "-extfile", extension, "-out", cert],
    )  # fmt: skip
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    return authority, cert, cert_key


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve while the context lasts."""
    authority, cert, key = certificates(folder)
    made: Server

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append({name.lower(): value for name, value in self.headers.items()})
            status, headers, data = made.answer(made.asked[-1])
            with contextlib.suppress(OSError):  # the client may have heard enough
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    made = Server(http.server_address[1], authority, lambda _asked: (200, {}, b""))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
