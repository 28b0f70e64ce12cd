"""The one error of the laboratory."""

from __future__ import annotations


class LabError(Exception):
    """Something in the laboratory did not do what it was started for: a tool is missing, late, or failed."""
