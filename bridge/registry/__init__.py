"""Reads an MLflow registry into snapshots. The implementation imports mlflow lazily."""
