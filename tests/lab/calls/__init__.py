"""Scenes of calls through a real back-to-back user agent: who pays, why, and when it ended."""
