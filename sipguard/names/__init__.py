"""Host names of a policy to addresses. Adapter of the keeper."""
