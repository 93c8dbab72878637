"""mlflow-bridge: what happens in an MLflow model registry, as events that arrive."""

__version__ = "0.1.0"
