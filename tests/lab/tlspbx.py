"""A server that speaks TLS on the PBX's port 5061 and asks every REGISTER for a password, then takes it.

Kamailio's TLS module is not everywhere; of what is said inside nobody but the two ends sees anything anyway. Standard
library and `openssl req`; every thread ends with the context.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.world import Host

PORT = 5061
_SECONDS = 5.0


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Make a self-signed certificate for a name; gives its file and its key's. Raises LabError."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    done = subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "3650", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
            "-keyout", str(key), "-out", str(cert),
        ],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise LabError(f"openssl: {done.stderr.strip()}")
    return cert, key


@contextlib.contextmanager
def tls_pbx(host: Host, directory: Path) -> Iterator[None]:
    """Listen on the host's first IPv4 address while the context lasts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(directory, "pbx.example"))
    listening = host.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host.v4, PORT))
    listening.listen(64)
    thread = threading.Thread(target=_accept, args=(listening, context))
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        listening.close()


def _accept(listening: socket.socket, context: ssl.SSLContext) -> None:
    serving = []
    with contextlib.suppress(OSError):  # shut down: the context is left
        while True:
            connection, _ = listening.accept()
            connection.settimeout(_SECONDS)
            serving.append(threading.Thread(target=_serve, args=(connection, context)))
            serving[-1].start()
    for thread in serving:
        thread.join()


def _serve(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Answer until the other side is gone."""
    with connection, contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as sealed:
        text = ""
        while more := sealed.recv(65536).decode(errors="replace"):
            text += more
            while (end := text.find("\r\n\r\n")) >= 0:
                sealed.sendall(_answer(text[: end + 2]))
                text = text[end + 4 :]


def _answer(request: str) -> bytes:
    kept = re.findall(r"(?im)^(?:Via|From|To|Call-ID|CSeq): .*\r\n", request)
    good = re.search(r"(?im)^Authorization:", request)
    status = "200 OK" if good else "401 Unauthorized"
    more = "" if good else 'WWW-Authenticate: Digest realm="pbx.example", nonce="5a0c3e1f9d2b4c6a8e7f0b1d3c5e7a9b"\r\n'
    return f"SIP/2.0 {status}\r\n{''.join(kept)}{more}Content-Length: 0\r\n\r\n".encode()
