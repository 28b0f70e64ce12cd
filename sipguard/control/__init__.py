"""The operator's socket: requests and replies as JSON lines. Adapter of the keeper."""
