"""A laboratory of network namespaces: attacker, PBX and phones, with real servers and real tools in them."""
