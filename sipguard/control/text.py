"""Text that others chose, made safe to show. Pure.

Promises: what comes out is printable, on one line, and means nothing to a terminal; the same text always gives the
same result. Quoting for HTML, mail or CSV is not done here.
"""

from __future__ import annotations


def clean(value: object, most: int = 500) -> str:
    r"""Write a value with every character that is not printable as `\xNN` or `\uNNNN`; at most `most` characters."""
    text = str(value)
    if len(text) > most:
        text = text[: most - 1] + "…"
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else _escape(ord(sign)) for sign in text)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
