"""What the bridge tells others of itself: probes and metrics."""
