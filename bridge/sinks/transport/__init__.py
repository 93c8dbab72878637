"""The HTTP transport of all sinks: clients, connections, name resolution, TLS, proxies and answers."""
