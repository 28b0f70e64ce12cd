"""What is decided becomes what is in the kernel. Adapters behind one contract."""
