"""Live sources of frames: the kernel's log and capture files. Adapters."""
