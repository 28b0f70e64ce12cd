"""The whole guard on a real kernel, against real servers and real attackers."""
