"""Find and read a configuration file, and build the settings; all faults are reported at once, each with its key."""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from bridge.config.mlflow_process_environment import given
from bridge.config.settings import Settings
from bridge.config.sink_settings import SinkSettings
from bridge.config.state_settings import StateSettings
from bridge.config.validation_messages import describe, did_you_mean
from bridge.errors import ConfigurationError


class SinkKinds(Protocol):
    """The settings class of each sink ``type``; classes from packages are imported when they are needed."""

    @property
    def at_hand(self) -> Mapping[str, type[SinkSettings]]:
        """The classes that are available without importing a package."""
        ...

    def __contains__(self, name: object, /) -> bool:
        """Whether the type exists."""
        ...

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the types."""
        ...

    def __getitem__(self, name: str, /) -> type[SinkSettings]:
        """Return the settings class of a type.

        Raises:
            ConfigurationError: the package that provides the type cannot be used.
        """
        ...


SEARCHED = ("config.toml", "/etc/mlflow-bridge/config.toml")
"""The places where a configuration file is looked for if none is named."""


def find(named: str | None) -> Path:
    """Return the configuration file to use: the named one, $MLFLOW_BRIDGE_CONFIG, or the first found in `SEARCHED`.

    Raises:
        ConfigurationError: there is none.
    """
    chosen = named or os.environ.get("MLFLOW_BRIDGE_CONFIG")
    if chosen:
        return Path(chosen)
    for place in SEARCHED:
        if os.path.isfile(place):  # noqa: PTH113 - Path.is_file() raises if the working directory cannot be read
            return Path(place)
    msg = (
        f"no configuration file: looked for {' and '.join(SEARCHED)}; name one with --config FILE "
        "or in $MLFLOW_BRIDGE_CONFIG (mlflow-bridge init writes one)"
    )
    raise ConfigurationError([msg])


def load(path: Path, kinds: SinkKinds) -> Settings:
    """Return the settings in the file at ``path``.

    Raises:
        ConfigurationError: the file has faults; each is one line that begins with its key.
    """
    document = _parse(path)
    if isinstance(document.setdefault("state", {}), dict):
        document["state"].setdefault("url", StateSettings().url)
    return build(resolve_paths(document, path.absolute().parent), kinds, str(path))


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        problem = "there is no such file"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text (byte {error.start}): save it as UTF-8 (Windows' PowerShell makes UTF-16 with >)"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not valid TOML: {error}"
    except RecursionError:
        problem = "is not valid TOML: it is nested too deeply"
    raise ConfigurationError([problem], str(path)) from None


def resolve_paths(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return ``document`` with relative paths resolved against ``folder``, the configuration's folder.

    If they were relative to the working directory, cron and a shell would use two different states, and the
    second one would take a new baseline and miss the changes before it.
    """
    return {key: _resolve(key, value, folder) for key, value in document.items()}


_FREE = frozenset(("body", "client_payload", "inputs", "parameters", "tags", "variables"))
"""Tables whose keys belong to the receiver or the registry: a key ``file`` in them is not a path."""

_NAMED = frozenset(("headers", "query"))
"""Tables whose keys belong to the receiver, but whose values may refer to secrets."""


def _resolve(key: str, value: Any, folder: Path) -> Any:
    if key in _FREE:
        return value
    if isinstance(value, dict):
        texts = {name: one for name, one in value.items() if key in _NAMED and isinstance(one, str)}
        return {**resolve_paths(value, folder), **texts}
    if isinstance(value, list):
        return [_resolve("", item, folder) for item in value]
    if not isinstance(value, str) or not value:
        return value
    if key in {"file", "ca_file", "client_cert", "client_key"}:
        return str(folder / value)
    kind, colon, path = value.partition(":")
    return f"{kind}:{folder / path}" if key == "url" and kind == "tinydb" and colon and path else value


def build(document: Mapping[str, Any], kinds: SinkKinds, source: str = "") -> Settings:
    """Build the settings from a parsed configuration.

    Raises:
        ConfigurationError: it has faults; each is one line that begins with its key.
    """
    sinks, problems = _sinks(document.get("sinks", ()), kinds)
    rest = {key: value for key, value in document.items() if key != "sinks"}
    taken = _of_environment(rest.get("registry", {}))
    settings = None
    try:
        settings = Settings.model_validate(_with(taken, rest))
    except ValidationError as error:
        problems = [_with_source(line, taken) for line in describe(error, Settings, rest)] + problems
    problems += _repeated(sinks)
    if problems or settings is None:
        raise ConfigurationError(problems, source)
    settings = settings.model_copy(update={"sinks": tuple(sinks)})
    settings._from_environment = frozenset(taken)  # noqa: SLF001 - not a key of the configuration
    return settings


_VARIABLES = {"tracking_uri": "MLFLOW_TRACKING_URI", "registry_uri": "MLFLOW_REGISTRY_URI"}
"""For each key, the environment variable that MLflow's client reads if the key is not set."""


def _of_environment(registry: Any) -> dict[str, str]:
    """Return the registry settings that come from the environment because the configuration leaves them out."""
    if not isinstance(registry, dict):
        return {}
    found = {key: given(variable) for key, variable in _VARIABLES.items() if key not in registry}
    return {key: value for key, value in found.items() if value}


def _with(taken: Mapping[str, str], document: Mapping[str, Any]) -> dict[str, Any]:
    registry = document.get("registry", {})
    return {**document, "registry": {**registry, **taken} if isinstance(registry, dict) else registry}


def _with_source(line: str, taken: Mapping[str, str]) -> str:
    """Add the name of the environment variable to a fault whose value came from the environment."""
    key = line.partition(":")[0].removeprefix("registry.")
    return f"{line} (it comes from ${_VARIABLES[key]})" if key in taken else line


def _sinks(raw: Any, kinds: SinkKinds) -> tuple[list[SinkSettings], list[str]]:
    if not isinstance(raw, list | tuple):
        return [], ["sinks: must be a list of tables: write each as [[sinks]]"]
    built: list[SinkSettings] = []
    problems: list[str] = []
    for index, table in enumerate(raw):
        where = f"sinks[{index}]"
        kind = table.get("type") if isinstance(table, dict) else None
        if not isinstance(table, dict) or not isinstance(kind, str) or kind not in kinds:
            problems += [_unknown_kind(where, table, kind, kinds), *_unknown_keys(where, table, kind, kinds)]
            continue
        try:
            built.append(_sink(where, table, kinds[kind]))
        except ConfigurationError as error:
            problems += error.problems if error.source else [f"{where}.type: {one}" for one in error.problems]
    return built, problems


def _sink(where: str, table: Mapping[str, Any], model: type[SinkSettings]) -> SinkSettings:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        problems = describe(error, model, table, where)
    except Exception as error:  # noqa: BLE001 - validators of a package can raise anything
        made = f"{model.__module__}.{model.__qualname__}"
        problems = [f"{where}: {made} fails on this ({type(error).__name__}): a fault in its package"]
    raise ConfigurationError(problems, where)


def _unknown_kind(where: str, table: Any, kind: Any, kinds: SinkKinds) -> str:
    if not isinstance(table, dict):
        return f"{where}: must be a table"
    known = f"one of {', '.join(sorted(kinds))}{_OF_PACKAGES}"
    if kind is None:
        return f"{where}.type: is missing: {known}"
    close = _close(kind, kinds)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{where}.type: {kind!r} is not a type of sink{hint}: {known}"


_OF_PACKAGES = ", or one of a package: install it where the bridge is (pip install PACKAGE)"


def _close(kind: Any, kinds: SinkKinds) -> list[str]:
    return get_close_matches(str(kind), list(kinds), n=1)


def _unknown_keys(where: str, table: Any, kind: Any, kinds: SinkKinds) -> Iterator[str]:
    """Yield a fault for each key that no sink type has, for a sink whose type is unknown.

    If its type resembles no built-in one, it may belong to a package with keys of its own: then yield nothing.
    """
    if isinstance(table, dict) and "type" in table and kinds.at_hand.keys().isdisjoint(_close(kind, kinds)):
        return
    known = sorted({key for one in kinds.at_hand.values() for key in one.model_fields})
    for key in table if isinstance(table, dict) else ():
        if key not in known:
            yield f"{where}.{key}: unknown key{did_you_mean(key, known)}"


def _repeated(sinks: Sequence[SinkSettings]) -> Iterator[str]:
    names = [sink.name for sink in sinks]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"sinks: the name {name!r} is given twice: names tell sinks apart"
