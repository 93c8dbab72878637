"""How requests leave: clients, connections, names, TLS, proxies, and what comes back. The machinery of all sinks."""
