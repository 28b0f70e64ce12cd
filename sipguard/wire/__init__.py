"""Bytes from a link to datagrams and streams; pure."""
