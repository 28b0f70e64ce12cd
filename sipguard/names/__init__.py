"""Host names of trunks and sites to addresses. Adapter of the keeper."""
