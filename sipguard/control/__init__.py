"""How the processes talk: the socket pair between them, the control socket for operators."""
