"""The status page: what is seen in the event loop, judged and rendered elsewhere."""
