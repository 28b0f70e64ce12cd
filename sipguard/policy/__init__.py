"""TOML text to a frozen policy, with every error at once; pure."""
