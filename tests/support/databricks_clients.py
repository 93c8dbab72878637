"""What Databricks' own clients do with webhooks, run in an environment of their own; prints JSON.

    python databricks_clients.py sdk|registry_webhooks HOST TOKEN URL
    python databricks_clients.py requests HOST TOKEN OTHER_TOKEN

Nothing of it knows the bridge: `databricks-sdk` speaks ``/api/2.0/mlflow``, `databricks-registry-webhooks` (which needs
protobuf before 6) ``/api/2.0/preview/mlflow``.
"""

import json
import os
import sys


def sdk(host: str, token: str, url: str) -> dict:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied, Unauthenticated
    from databricks.sdk.service.ml import HttpUrlSpec, RegistryWebhookEvent, RegistryWebhookStatus

    registry = WorkspaceClient(host=host, token=token).model_registry
    transition = RegistryWebhookEvent.MODEL_VERSION_TRANSITIONED_STAGE
    spec = HttpUrlSpec(url=url, secret="s3cret", authorization="Bearer t0ken", enable_ssl_verification=False)
    made = registry.create_webhook(
        [transition, RegistryWebhookEvent.COMMENT_CREATED],
        http_url_spec=spec,
        model_name="fraud",
        description="by the SDK",
        status=RegistryWebhookStatus.TEST_MODE,
    ).webhook
    more = [
        registry.create_webhook([transition], http_url_spec=spec, description=str(number)).webhook.id
        for number in range(4)
    ]
    tested = registry.test_registry_webhook(made.id, event=transition)
    updated = registry.update_webhook(
        made.id, status=RegistryWebhookStatus.DISABLED, description="changed"
    ).webhook
    listed = [one.id for one in registry.list_webhooks(max_results=2)]
    of_model = [one.as_dict() for one in registry.list_webhooks(model_name="fraud", events=[transition])]
    deleted = registry.delete_webhook(id=made.id)
    refused = {}
    others = WorkspaceClient(host=host, token="another-token-of-some-length").model_registry
    for name, kind, call in (
        ("unknown", NotFound, lambda: registry.delete_webhook(id=made.id)),
        (
            "invalid",
            DatabricksError,
            lambda: registry.update_webhook(more[0], http_url_spec=HttpUrlSpec(url="ftp://x")),
        ),
        ("token", Unauthenticated, lambda: list(others.list_webhooks())),
    ):
        try:
            call()
        except kind as error:
            refused[name] = [type(error).__name__, str(error)]
    assert PermissionDenied
    return {
        "made": made.as_dict(),
        "tested": tested.as_dict(),
        "updated": updated.as_dict(),
        "listed": sorted(listed) == sorted([made.id, *more]),
        "of_model": of_model,
        "deleted": deleted is None or bool(deleted),
        "left": sorted(one.id for one in registry.list_webhooks()) == sorted(more),
        "refused": refused,
    }


def requests(host: str, token: str, other: str) -> dict:
    """Make, list, approve, reject and delete transition requests of the model ``asked``; ``other`` is another token."""
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors import DatabricksError, PermissionDenied

    mine = WorkspaceClient(host=host, token=token).model_registry
    theirs = WorkspaceClient(host=host, token=other).model_registry
    made = mine.create_transition_request("asked", "1", "Production", comment="please")
    listed = [one.as_dict() for one in mine.list_transition_requests("asked", "1")]
    refused = ""
    try:
        mine.approve_transition_request("asked", "1", "Production", True)
    except PermissionDenied as error:
        refused = str(error)
    approved = theirs.approve_transition_request("asked", "1", "Production", True, comment="fine")
    mine.create_transition_request("asked", "2", "Staging")
    rejected = theirs.reject_transition_request("asked", "2", "Staging", comment="no")
    opposite = ""
    try:
        theirs.approve_transition_request("asked", "2", "Staging", False)
    except DatabricksError as error:
        opposite = str(error)
    mine.create_transition_request("asked", "2", "Archived")
    (mine_now,) = mine.list_transition_requests("asked", "2")
    deleted = mine.delete_transition_request("asked", "2", "Archived", mine_now.user_id)
    return {
        "made": made.as_dict(),
        "listed": listed,
        "refused": refused,
        "approved": approved.as_dict(),
        "rejected": rejected.as_dict(),
        "opposite": opposite,
        "deleted": deleted.as_dict(),
        "left": [one.as_dict() for one in mine.list_transition_requests("asked", "2")],
    }


def registry_webhooks(host: str, token: str, url: str) -> dict:
    os.environ |= {"DATABRICKS_HOST": host, "DATABRICKS_TOKEN": token}
    from databricks_registry_webhooks import HttpUrlSpec, RegistryWebhooksClient

    client = RegistryWebhooksClient()
    spec = HttpUrlSpec(url=url, secret="s3cret", authorization="Bearer t0ken")
    made = client.create_webhook(
        events=["MODEL_VERSION_TRANSITIONED_STAGE"],
        http_url_spec=spec,
        model_name="fraud",
        description="by the client",
    )
    tested = client.test_webhook(id=made.id)
    updated = client.update_webhook(id=made.id, description="changed")
    listed = [one.id for one in client.list_webhooks(model_name="fraud")]
    client.delete_webhook(id=made.id)
    try:
        client.delete_webhook(id=made.id)
        refused = ""
    except Exception as error:  # noqa: BLE001
        refused = str(error)
    return {
        "made": {
            "id": made.id,
            "status": made.status,
            "events": list(made.events),
            "url": made.http_url_spec.url,
        },
        "tested": {"status_code": tested.status_code},
        "updated": updated.description,
        "listed": listed == [made.id],
        "left": [one.id for one in client.list_webhooks()],
        "refused": refused,
    }


if __name__ == "__main__":
    which, *given = sys.argv[1:]
    sys.stdout.write(
        json.dumps({"sdk": sdk, "requests": requests, "registry_webhooks": registry_webhooks}[which](*given))
    )
