"""Binding a state to its registry anew: what is the same, what is not, and who decides."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from support.done import done
from support.registry import FakeRegistry
from support.values import commit, head, model

from bridge.config.file_loading import build
from bridge.delivery.sink_state import RUNNING
from bridge.errors import RegistryUnreachable, StateForeign
from bridge.operations import registry_rebinding as module
from bridge.operations.registry_rebinding import rebind
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.state_metadata import Note

HERE, THERE = "http://registry", "http://there"
BORN, BORN_AGAIN = "1700000000000", "1764000000000"
NOTHING_CHANGED = (
    "nothing was changed: if you know it to be the same registry, run 'mlflow-bridge state rebind --accept'; "
    "if it is another one, choose a new folder in state.url"
)
ALL_THE_SAME = (
    "models: 3 of 3 known models that were asked for are there, created at the same instant; "
    "3 of 3 versions of these"
)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch) -> None:
    for name in ("MLFLOW_WORKSPACE", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)


class Moved:
    """A state of three models, and the registry that the configuration names now."""

    def __init__(self, monkeypatch, fingerprint: str | None = BORN) -> None:
        names = ("a", "b", "c")
        self.registry = FakeRegistry({name: model(name) for name in names}, print=fingerprint)
        self.state = DocumentState(MemoryDocuments())
        done(
            self.state.commit_poll(
                commit(
                    models=[model(name) for name in names],
                    uri=HERE,
                    fingerprint=BORN,
                )
            )
        )
        monkeypatch.setattr(module, "MlflowRegistry", lambda _settings: self.registry)

    async def rebind(self, uri: str = HERE, *, accept: bool = False, **registry) -> str:
        settings = build({"registry": {"tracking_uri": uri, **registry}}, SETTINGS)
        return await rebind(self.state, settings, accept=accept)

    @property
    def bound(self) -> tuple[str, str | None]:
        return self.state.head.uri, self.state.head.fingerprint


async def test_another_url_of_the_same_database_needs_nobodys_word(monkeypatch) -> None:
    moved = Moved(monkeypatch)

    with capture_logs() as logs:
        assert await moved.rebind(THERE) == f"the state is bound to {THERE}"

    assert moved.bound == (THERE, BORN)
    assert [(line["event"], line["registry"], line["accepted"]) for line in logs] == [
        ("state.rebound", THERE, False)
    ]


async def test_another_fingerprint_is_refused_with_what_is_the_same_and_what_is_not(monkeypatch) -> None:
    moved = Moved(monkeypatch, BORN_AGAIN)

    with pytest.raises(StateForeign) as refused:
        await moved.rebind(THERE)

    assert str(refused.value).splitlines() == [
        f"{THERE} may not be the registry that the state was taken from: its database has another fingerprint",
        f"  other URL: {THERE}, before {HERE}",
        "  same workspace: default",
        "  other fingerprint: Default experiment made 2025-11-24 16:00:00 UTC, before 2023-11-14 22:13:20 UTC",
        f"  {ALL_THE_SAME}",
        NOTHING_CHANGED,
    ]
    assert moved.bound == (HERE, BORN)


async def test_an_operators_word_binds_it_and_shows_the_same(monkeypatch) -> None:
    moved = Moved(monkeypatch, BORN_AGAIN)

    with capture_logs() as logs:
        done = await moved.rebind(accept=True)

    assert done.splitlines() == [
        f"same URL: {HERE}",
        "same workspace: default",
        "other fingerprint: Default experiment made 2025-11-24 16:00:00 UTC, before 2023-11-14 22:13:20 UTC",
        ALL_THE_SAME,
        f"the state is bound to {HERE}",
    ]
    assert moved.bound == (HERE, BORN_AGAIN)
    assert logs[0]["accepted"]


@pytest.mark.parametrize(
    ("fingerprint", "doubt"),
    [
        (BORN_AGAIN, "its database has another fingerprint"),
        (None, "the fingerprint of its database cannot be read"),
    ],
)
@pytest.mark.parametrize("accept", [True, False])
async def test_where_no_model_is_there_either_it_is_another_registry_whatever_is_said(
    monkeypatch, fingerprint, doubt, accept
) -> None:
    moved = Moved(monkeypatch, fingerprint)
    moved.registry.models = {name: replace(one, created=7) for name, one in moved.registry.models.items()}

    with pytest.raises(
        StateForeign, match=f"(?s)is not the registry .*{doubt}.*3 of the names stand for other"
    ) as no:
        await moved.rebind(accept=accept)

    assert "rebind --accept" not in str(no.value)
    assert moved.bound == (HERE, BORN)


async def test_the_same_fingerprint_without_a_known_model_is_a_matter_for_an_operator(monkeypatch) -> None:
    """A registry with a store of its own has the experiments' fingerprint, also when it was replaced."""
    moved = Moved(monkeypatch)
    moved.registry.models = {}

    with pytest.raises(StateForeign, match="none of the models that were asked for is there"):
        await moved.rebind(THERE)
    assert await moved.rebind(THERE, accept=True)
    assert moved.bound == (THERE, BORN)


async def test_a_fingerprint_that_cannot_be_read_is_kept_where_an_operator_accepts(monkeypatch) -> None:
    moved = Moved(monkeypatch, None)

    with pytest.raises(StateForeign, match="cannot be read, so nothing shows that it is the same"):
        await moved.rebind(THERE)
    assert "made at a time that cannot be read, before 2023" in await moved.rebind(THERE, accept=True)
    assert moved.bound == (THERE, BORN)


async def test_an_empty_state_has_nothing_that_speaks_against_it(monkeypatch) -> None:
    moved = Moved(monkeypatch, BORN_AGAIN)
    moved.state = DocumentState(MemoryDocuments())
    await moved.state.write_head(head(uri=HERE, fingerprint=BORN))

    with pytest.raises(StateForeign, match="no model is known to compare with"):
        await moved.rebind()
    assert await moved.rebind(accept=True)


async def test_another_workspace_is_another_registry_whatever_is_said(monkeypatch) -> None:
    with pytest.raises(StateForeign, match="another workspace is another registry"):
        await Moved(monkeypatch).rebind(accept=True, workspace="team-a")


async def test_what_was_written_meanwhile_stays(monkeypatch) -> None:
    moved = Moved(monkeypatch)
    read = moved.registry.fingerprint

    def meanwhile(deadline):
        done(moved.state.set_condition("ci", RUNNING, [], [Note(1, "paused", detail="ci")]))
        return read(deadline)

    moved.registry.fingerprint = meanwhile
    await moved.rebind(THERE)

    assert ([note.kind for note in moved.state.notes()], moved.state.head.noted) == (["paused"], 1)
    assert moved.bound == (THERE, BORN)


async def test_a_registry_that_does_not_answer_in_time_changes_nothing(monkeypatch) -> None:
    moved = Moved(monkeypatch)

    def late(_deadline):
        raise RegistryUnreachable("late")

    moved.registry.fingerprint = late
    with pytest.raises(RegistryUnreachable):
        await moved.rebind(THERE, accept=True)
    assert moved.bound == (HERE, BORN)
