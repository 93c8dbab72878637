"""mlflow-bridge: deliver the changes of an MLflow model registry as events."""

__version__ = "0.1.0"
