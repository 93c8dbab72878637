"""The demo: runs the bridge on one machine with a temporary registry and receiver."""

from bridge.demo.demo_run import run_demo

__all__ = ["run_demo"]
