"""The main job on one machine with nothing to set up: a real registry, a real receiver."""

from bridge.demo.demo_run import tell

__all__ = ["tell"]
