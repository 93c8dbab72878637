"""The workspace of MLflow's server that a request is about (MLflow 3.10 and newer)."""


def workspace() -> str | None:
    """Return the workspace of the present request, or None where the server has none."""
    try:
        from mlflow.utils.workspace_context import get_request_workspace  # noqa: PLC0415 - older versions have none
    except ImportError:
        return None
    found = get_request_workspace()
    return str(found) if found else None


def restore_workspace(name: str | None) -> None:
    """Set the workspace of the present request again."""
    if name is not None:
        from mlflow.utils.workspace_context import set_server_request_workspace  # noqa: PLC0415

        set_server_request_workspace(name)
