"""What must survive: deltas in SQLite. Adapter of the keeper."""
