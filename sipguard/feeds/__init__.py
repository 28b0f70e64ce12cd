"""Lists of addresses that others keep: fetched, read, checked and kept. What becomes of them is decided elsewhere."""
