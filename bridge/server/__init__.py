"""The HTTP server of the daemon: health probes, metrics and the status page."""
