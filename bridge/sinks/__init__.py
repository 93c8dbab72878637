"""Where events go. A sink makes one attempt and returns an outcome; it never retries."""
