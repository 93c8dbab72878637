"""Registries for hypothesis: small, and full of coincidences."""

from hypothesis import strategies as st

from bridge.diff.snapshot import ModelVersion, RegisteredModel, Snapshot, pairs

STAGES = ("None", "Staging", "Production", "Archived")
NAMES = ("a", "b", "c", "d'\"e")
_words = st.sampled_from(["", "x", "y"])
_tags = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["1", "2"]), max_size=2)


@st.composite
def versions(draw: st.DrawFn, number: str, born: int) -> ModelVersion:
    created = born + draw(st.integers(0, 2))
    return ModelVersion(
        version=number,
        created=created,
        updated=created + draw(st.integers(0, 3)),
        stage=draw(st.sampled_from(STAGES)),
        status=draw(st.sampled_from(["READY", "PENDING_REGISTRATION"])),
        description=draw(_words),
        user_id="ann" if created % 2 else "",
        tags=pairs(draw(_tags)),
    )


@st.composite
def models(draw: st.DrawFn, name: str) -> RegisteredModel:
    created = draw(st.sampled_from([100, 200, 300]))
    numbers = draw(st.sets(st.sampled_from(["1", "2", "3", "10"])))
    owned = {number: draw(versions(number, created)) for number in sorted(numbers, key=int)}
    aliases = draw(st.dictionaries(st.sampled_from(["champion", "old"]), st.sampled_from(["1", "2"])))
    return RegisteredModel(
        name=name,
        created=created,
        updated=created + draw(st.integers(0, 3)),
        description=draw(_words),
        tags=pairs(draw(_tags)),
        aliases=pairs({alias: number for alias, number in aliases.items() if number in owned}),
        versions=owned,
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    names = draw(st.sets(st.sampled_from(NAMES)))
    return {name: draw(models(name)) for name in sorted(names)}
