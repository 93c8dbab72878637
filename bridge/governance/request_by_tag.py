"""Requests that are made in MLflow itself: a version tag names the stage, or the alias after ``@``, that is asked for."""

from collections.abc import Iterable, Mapping
from uuid import UUID, uuid5

from bridge.diff.registry_changes import ChangeKind
from bridge.diff.snapshot import RegisteredModel
from bridge.events.event import Event
from bridge.governance.request_steps import holder_of
from bridge.governance.transition_request import TransitionRequest
from bridge.governance.transition_target import Target, canonical_stage

TAG = "mlflow_bridge.request"
"""The key of the tag."""

CREATOR = "tag"
"""Who asks, if it is done with a tag: open-source MLflow does not record who set it."""

_NAMESPACE = UUID("5f3d9a52-0c6e-5b1b-9a43-6f8a0d1c7e21")
"""The namespace of the ids of such requests: a poll that is repeated gives the same one again."""


def is_request(event: Event) -> bool:
    """Whether ``event`` tells of such a tag."""
    return event.type is ChangeKind.VERSION_TAG_SET and event.changed.get("key") == TAG


def requests_by_tag(
    events: Iterable[Event], models: Mapping[str, RegisteredModel], expires_ms: int, now_ms: int
) -> tuple[list[TransitionRequest], list[tuple[Event, str]]]:
    """Return the requests that the tags in ``events`` make, and the events of those that make none, with the reason.

    ``models`` are those that changed, as they are now.
    """
    made: list[TransitionRequest] = []
    refused: list[tuple[Event, str]] = []
    for event in filter(is_request, events):
        value = event.changed.get("value") or ""
        target = _target(value)
        model = models.get(event.model_name)
        version = model.versions.get(event.model_version or "") if model else None
        if target is None:
            refused.append((event, f"{TAG} = {value!r:.80} is no stage, and no alias such as '@champion'"))
        elif model is not None and version is not None:
            before = holder_of(model, version.version, target)
            if before == (version.version if target.alias is not None else target.stage):
                refused.append((event, f"{TAG} = {value!r:.80}: it has that already"))
                continue
            made.append(
                TransitionRequest(
                    id=f"tr_{uuid5(_NAMESPACE, event.id).hex}",
                    model_name=model.name,
                    version=version.version,
                    lane=event.lane,
                    version_created=version.created,
                    target=target,
                    before=before,
                    creator=CREATOR,
                    comment=f"asked for by the tag {TAG}",
                    archives=False,
                    created_at=now_ms,
                    updated_at=now_ms,
                    expires_at=now_ms + expires_ms,
                )
            )
    return made, refused


def _target(value: str) -> Target | None:
    if value.startswith("@") and len(value) > 1 and value.isprintable():
        return Target(alias=value[1:])
    stage = canonical_stage(value)
    return Target(stage=stage) if stage else None
