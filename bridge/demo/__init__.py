"""The demo: runs the bridge on one machine with a temporary registry and receiver."""

from bridge.demo.demo_run import tell

__all__ = ["tell"]
