"""What the guard costs: run by `python -m tests.bench`, never timed by a test."""
