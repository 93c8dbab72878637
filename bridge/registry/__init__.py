"""Reads an MLflow registry into snapshots. MLflow is imported only when it is needed."""
