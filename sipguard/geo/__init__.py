"""Where addresses are: reads databases of countries and networks, and makes one from the registries' files."""
