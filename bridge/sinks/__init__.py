"""The sinks: where events are delivered. A sink makes one attempt and returns an outcome; it never retries."""
