"""Dialled strings: the number they mean under a dial plan, its class and country, and whether it is for help."""
