"""One list's bytes, from a file or over HTTPS: within a size, within a time, and only when they have changed.

Raises `AdapterError` alone, without the address of the list in it: keys for such services stand there. Certificates are
checked against the system's own. A redirection is not followed, so that nobody but the operator says where lists come
from. Compressed data is unpacked only as far as allowed. Blocking: call it in a thread.
"""

from __future__ import annotations

import ssl
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sipguard.errors import AdapterError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

ADAPTER = "feed"
LOADED = 16 * 1024 * 1024
"""The most bytes that are taken from a server or a file."""
UNPACKED = 32 * 1024 * 1024
"""The most bytes that they may become."""
DEADLINE = 60.0
"""Seconds for all of it; single reads and the connection have `PATIENCE`."""
PATIENCE = 10.0
_PIECE = 64 * 1024
_LONGEST_TAG = 512
_GZIP = b"\x1f\x8b"


class Tags(NamedTuple):
    """What a server (or the file system) calls this version of a list, to be asked whether there is another."""

    etag: str = ""
    modified: str = ""


class Fetched(NamedTuple):
    """A list's bytes, unpacked, and what its version is called."""

    data: bytes
    tags: Tags


def fetch(source: str, tags: Tags, deadline: float = DEADLINE) -> Fetched | None:
    """Read a list from an https URL or an absolute path; None when it is still the version of `tags`."""
    return _over_https(source, tags, deadline) if source.startswith("https://") else _from_file(Path(source), tags)


def unpack(data: bytes, most: int = UNPACKED) -> bytes:
    """Unpack gzip data of one piece; anything else is given back as it is. Raises AdapterError, also past `most`."""
    if not data.startswith(_GZIP):
        return data
    machine = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = machine.decompress(data, most + 1)
    except zlib.error:
        raise AdapterError(ADAPTER, "what came is no good gzip data") from None
    if len(text) > most:
        raise AdapterError(ADAPTER, f"what came is more than {most // 2**20} MiB when it is unpacked")
    if not machine.eof or machine.unused_data:
        raise AdapterError(ADAPTER, "what came is not one whole piece of gzip data")
    return text


def _from_file(path: Path, tags: Tags) -> Fetched | None:
    try:
        if not path.is_file():  # a pipe would keep us waiting
            raise AdapterError(ADAPTER, f"{path} is not there, or is no file")
        with path.open("rb") as file:
            data = file.read(LOADED + 1)
    except OSError as error:
        raise AdapterError(ADAPTER, f"{path} cannot be read: {error.strerror}") from error
    _bounded(len(data))
    found = Tags(etag=f"{len(data)}-{zlib.crc32(data):08x}")
    return None if found == tags else Fetched(unpack(data), found)


def _over_https(url: str, tags: Tags, deadline: float) -> Fetched | None:
    # Here, so that a guard without lists starts without it: it costs as much as all of ours.
    from urllib3 import PoolManager, Timeout  # noqa: PLC0415 - see above
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - see above

    end = time.monotonic() + deadline
    headers = {"User-Agent": "sipguard", "Accept-Encoding": "gzip"}
    if tags.etag:
        headers["If-None-Match"] = tags.etag
    if tags.modified:
        headers["If-Modified-Since"] = tags.modified
    try:
        with PoolManager(
            num_pools=1,
            ssl_context=ssl.create_default_context(),
            timeout=Timeout(connect=PATIENCE, read=PATIENCE),
            retries=False,
        ) as pool:
            answer = pool.request(
                "GET", url, headers=headers, preload_content=False, decode_content=False, redirect=False
            )
            try:
                return _answered(answer, end)
            finally:
                answer.close()
    except (HTTPError, OSError) as error:
        raise AdapterError(ADAPTER, _words(error)) from None


def _answered(answer: BaseHTTPResponse, end: float) -> Fetched | None:
    if answer.status == 304:
        return None
    if 300 <= answer.status < 400:
        raise AdapterError(ADAPTER, f"the server sends us elsewhere ({answer.status}): write the new address")
    if answer.status != 200:
        raise AdapterError(ADAPTER, f"the server answers {answer.status}")
    data = bytearray()
    for piece in answer.stream(_PIECE, decode_content=False):
        data += piece
        _bounded(len(data))
        if time.monotonic() > end:
            raise AdapterError(ADAPTER, "the server sends too slowly")
    encoding = answer.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("gzip", "x-gzip", "identity", ""):
        raise AdapterError(ADAPTER, "the server packs the list in a way that was not asked for")
    text = unpack(bytes(data)) if "gzip" in encoding else bytes(data)
    tags = Tags(answer.headers.get("ETag", "")[:_LONGEST_TAG], answer.headers.get("Last-Modified", "")[:_LONGEST_TAG])
    return Fetched(unpack(text), tags)  # a packed file (list.gz) may be sent packed once more


def _bounded(size: int) -> None:
    if size > LOADED:
        raise AdapterError(ADAPTER, f"what comes is more than {LOADED // 2**20} MiB")


def _words(error: Exception) -> str:
    """Say what failed. The library's own words hold the address, and with it perhaps a key."""
    cause: BaseException = error
    while not isinstance(cause, OSError) and (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's certificate is not good: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return "the server does not speak TLS as it should"
    if isinstance(cause, TimeoutError):
        return "the server does not answer in time"
    if isinstance(cause, OSError) and cause.strerror:
        return f"the server cannot be reached: {cause.strerror}"
    return f"the server's answer cannot be read ({type(cause).__name__})"
