"""A sink for mlflow-bridge that appends events to a file, a line of JSON each."""

from bridge.plugin import Kind
from mlflow_bridge_jsonl.sink import JsonlFileSettings, JsonlFileSink

KIND = Kind(JsonlFileSettings, JsonlFileSink)
