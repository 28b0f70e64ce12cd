"""The kernel's tongue as bytes: netlink messages read and written, no socket; pure."""
