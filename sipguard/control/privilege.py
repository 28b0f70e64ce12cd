"""Give up what the kernel lets a process do beyond its user's rights. For the keeper, before anything else.

Promises: after `drop` this process, its threads and its children hold no capability and can gain none; where that
cannot be done it raises `AdapterError`, and the caller must end. Linux only: prctl(2), capset(2), capabilities(7).
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from sipguard.errors import AdapterError

ADAPTER = "privilege"

# linux/prctl.h
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_EINVAL = 22

# linux/capability.h: version 3 has two words for each of the three sets
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def drop() -> None:
    """Hold no capability from here on. Raises AdapterError when the kernel refuses or something is still held."""
    libc = ctypes.CDLL(None, use_errno=True)
    _must(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs")
    _must(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "clear ambient capabilities")
    for number in range(_LAST_CAPABILITY + 1):  # needs CAP_SETPCAP; without it no_new_privs is what holds
        if libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) and ctypes.get_errno() == _EINVAL:
            break
    header = _Header(_CAPABILITY_VERSION_3, 0)
    _must(libc.capset(ctypes.byref(header), ctypes.byref((_Sets * 2)())), "drop all capabilities")
    left = held()
    if left:
        raise AdapterError(ADAPTER, f"capabilities {left:#x} are still held")


def held() -> int:
    """Give this thread's permitted, effective, inheritable and ambient capabilities, all in one mask."""
    mask = 0
    try:
        lines = Path("/proc/thread-self/status").read_text().splitlines()
    except OSError as error:
        raise AdapterError(ADAPTER, f"cannot read /proc/thread-self/status: {error}") from error
    for line in lines:
        name, _, value = line.partition(":")
        if name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            mask |= int(value, 16)
    return mask


def _must(result: int, what: str) -> None:
    if result != 0:
        raise AdapterError(ADAPTER, f"cannot {what}: {os.strerror(ctypes.get_errno())}")
