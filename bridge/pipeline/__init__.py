"""The two loops, poll and relay, which meet only at the outbox."""
