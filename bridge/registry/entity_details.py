"""Converts MLflow's entities into the details of versions and runs. Pure, except for the names of MLflow's attributes."""

from typing import Any

_HISTORY_TAG = "mlflow.log-model.history"
"""A copy of each ``MLmodel`` file that a run logged: long, and not set by a person."""


def version_details(entity: Any) -> dict[str, Any]:
    """Return an ``mlflow.entities.model_registry.ModelVersion`` as plain values."""
    return {
        "version": str(entity.version),
        "stage": entity.current_stage or None,
        "status": entity.status or None,
        "description": entity.description or None,
        "user_id": entity.user_id or None,
        "created": entity.creation_timestamp,
        "updated": entity.last_updated_timestamp,
        "run_id": entity.run_id or None,
        "run_link": entity.run_link or None,
        "model_id": getattr(entity, "model_id", None) or None,  # since MLflow 3
        "source": entity.source or None,
        "aliases": [] if callable(entity.aliases) else [str(alias) for alias in entity.aliases or ()],
        "tags": {} if callable(entity.tags) else dict(entity.tags or {}),
    }


def run_details(entity: Any) -> dict[str, Any]:
    """Return an ``mlflow.entities.Run`` as plain values."""
    info, data = entity.info, entity.data
    return {
        "run_id": info.run_id,
        "name": getattr(info, "run_name", None) or None,
        "status": info.status,
        "lifecycle_stage": info.lifecycle_stage,
        "user_id": info.user_id or None,
        "experiment_id": info.experiment_id,
        "started": info.start_time,
        "ended": info.end_time,
        "artifact_location": info.artifact_uri or None,
        "metrics": dict(data.metrics),
        "params": dict(data.params),
        "tags": {key: value for key, value in data.tags.items() if key != _HISTORY_TAG},
    }
