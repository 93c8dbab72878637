"""docs/configuration.md, from the settings classes and config.example.toml."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from bridge.config import DeliverySettings, Secret, Settings, SinkSettings
from bridge.sinks.sink_type_table import KINDS
from support.reference.examples import examples
from support.reference.meanings import meaning
from support.reference.spelling import hint_of, item_of, limits, pace, spelled_default, spelled_type, table_of

Examples = Mapping[tuple[str, str], Sequence[str]]

_INTRODUCTION = """\
# Configuration reference

Every section and key: generated from the settings by `{command}`, and held against them by a test. The same, as a
file to start from: [config.example.toml](../config.example.toml).

The configuration is one TOML file: the one that `--config` names, else `$MLFLOW_BRIDGE_CONFIG`, `./config.toml` or
`/etc/mlflow-bridge/config.toml`. A key that is not known is an error, and `mlflow-bridge check` tells all errors at once.
Proxies are no part of it: they come from [variables of the environment](proxies.md).

| what | is written |
|---|---|
| duration | `"250ms"`, `"30s"`, `"10m"`, `"1h30m"`, `"30d"`: longer than nothing, ten years at most |
| rate | `"1/s"`, `"60/m"`, `"500/h"`: how many, for each s, m, h or d |
| path | relative paths begin at the folder of the configuration file |
| template | any text, with `${{model_name}}` and other [expressions](templates.md) in it |

"""
_SECRETS = """\
## Secrets

A secret is never written into the configuration, only where it is: in exactly one of these places. It is read again
whenever it is used, so that rotating it needs no restart.

"""
_PLACES = {
    ("secret", "env"): ['secret = { env = "CI_WEBHOOK_SECRET" }'],
    ("secret", "file"): ['secret = { file = "/run/secrets/ci" }'],
    ("secret", "credential"): ['secret = { credential = "ci" }'],
}
_MORE = {
    "events": "[all of them](events.md)",
    "format": "[which is for what](formats.md)",
    "signature": "[which is which](formats.md)",
    "tags": "[more](filters.md)",
    "when": "[more](filters.md)",
    "include": "[more](details.md)",
    "include_policy": "[more](details.md)",
    "body": "[more](templates.md)",
}
_SINKS = """\
## Sinks

Each sink is a table `[[sinks]]`, with the keys of every sink, and those of its `type`.

### Every sink

"""
_HEAD = "| key | type | default | meaning |\n|---|---|---|---|\n"


def page(root: Path, command: str) -> str:
    """Return the page."""
    shown = examples(root / "config.example.toml")
    return "".join(_parts(shown, command)).rstrip() + "\n"


def _parts(shown: Examples, command: str) -> Iterator[str]:
    yield _INTRODUCTION.format(command=command)
    yield _SECRETS + _table(Secret, "secret", _PLACES)
    yield "\n"
    for name in Settings.model_fields:
        hint = hint_of(Settings, name)
        model, is_list = table_of(hint), item_of(hint) is not None
        if name == "sinks":
            continue
        head = f"[[{name}]]" if is_list else f"[{name}]"
        yield f"## {head}\n\n{meaning(Settings, name)}\n\n{_table(model or item_of(hint), name, shown)}\n"
    yield _SINKS + _table(SinkSettings, "http", shown)
    for kind, settings in own_kinds().items():
        yield f"\n### {kind}\n\n{_purpose(settings)}{_pace(settings)}\n\n"
        yield _table(settings, kind, shown, inherited=set(SinkSettings.model_fields))


def _purpose(settings: type[SinkSettings]) -> str:
    said = meaning(settings, "type").partition(": ")[2]
    return said[:1].upper() + said[1:]


def own_kinds() -> dict[str, type[SinkSettings]]:
    """Return the settings of the bridge's own kinds of sinks, whatever is installed beside it."""
    return {name: kind.settings for name, kind in KINDS.items()}


def _pace(settings: type[SinkSettings]) -> str:
    rate, concurrency = settings.default_rate_ms(), settings.default_concurrency()
    said = [
        *([f'`rate = "{pace(rate)}"`'] if rate else []),
        *([f"`concurrency = {concurrency}`"] if concurrency else []),
    ]
    return f" Unless it is configured for the sink: {' and '.join(said)}." if said else ""


def _table(model: type[BaseModel], section: str, shown: Examples, inherited: set[str] = frozenset()) -> str:
    return _HEAD + "".join(_rows(model, section, shown, inherited))


def _rows(model: type[BaseModel], section: str, shown: Examples, inherited: set[str]) -> Iterator[str]:
    for name in model.model_fields:
        if name in inherited:
            continue
        yield _row(model, name, f"`{name}`", shown.get((section, name)) or shown.get(("", name), ()))
        inner = table_of(hint_of(model, name)) or (
            item_of(hint_of(model, name)) if name == "checks" else None
        )
        for nested in inner.model_fields if inner else ():
            yield _row(inner, nested, f"`{name}.{nested}`", ())


def _row(model: type[BaseModel], name: str, key: str, written: Sequence[str]) -> str:
    field, hint = model.model_fields[name], hint_of(model, name)
    allowed = limits(hint, field)
    kind = spelled_type(hint) + (f": {allowed}" if allowed else "")
    said = [meaning(model, name), *([_MORE[name]] if name in _MORE else [])]
    meant = "<br>".join([" ".join(said), *(f"`{line}`" for line in written)])
    return f"| {key} | {_cell(kind)} | {_cell(_default(model, name))} | {_cell(meant)} |\n"


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "**required**"
    is_override = issubclass(model, SinkSettings) and name in DeliverySettings.model_fields
    return spelled_default(hint_of(model, name), field) or (
        "as in `[delivery]`" if is_override else "not set"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
