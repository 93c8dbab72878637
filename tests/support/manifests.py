"""The manifests in deploy/kubernetes, read as far as that goes without kustomize."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
MONITORING = ROOT / "deploy" / "monitoring"
VARIANTS = ("deployment", "sidecar", "cronjob", "example", "replicas")
"""The folders that are built; the others are parts of them."""

CONTAINER = "mlflow-bridge"

Document = dict[str, Any]


def kustomization(folder: Path) -> Document:
    return yaml.safe_load((folder / "kustomization.yaml").read_text())


def kustomizations() -> list[Path]:
    """Return every folder with a kustomization."""
    return sorted(path.parent for top in (FOLDER, MONITORING) for path in top.rglob("kustomization.yaml"))


def documents(path: Path) -> list[Document]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def named(folder: Path) -> Iterator[Path]:
    """Yield the files and folders that a kustomization names."""
    told = kustomization(folder)
    names = [*told.get("resources", ()), *told.get("components", ())]
    names += [patch["path"] for patch in told.get("patches", ())]
    names += [name for generator in told.get("configMapGenerator", ()) for name in generator["files"]]
    for name in names:
        yield (folder / name).resolve()


def built(folder: Path) -> list[Document]:
    """Return what a kustomization comes to, with its patches, but without generated names and images."""
    found: list[Document] = []
    _add(folder.resolve(), found)
    return found


def _add(folder: Path, found: list[Document]) -> None:
    told = kustomization(folder)
    for name in [*told.get("resources", ()), *told.get("components", ())]:
        path = (folder / name).resolve()
        if path.is_dir():
            _add(path, found)
        else:
            found += documents(path)
    for patch in told.get("patches", ()):
        _apply(documents(folder / patch["path"]), found)


def _apply(patches: list[Document], found: list[Document]) -> None:
    for patch in patches:
        (at,) = [index for index, document in enumerate(found) if identity(document) == identity(patch)]
        found[at] = merged(found[at], patch)


def identity(document: Document) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]


def merged(old: Any, new: Any) -> Any:
    """Return ``old`` with ``new`` in it, as a strategic merge has it for what has a name."""
    if isinstance(new, dict):
        old = old if isinstance(old, dict) else {}
        both = {key: merged(old.get(key), value) for key, value in new.items() if value is not None}
        return {**{key: value for key, value in old.items() if key not in new}, **both}
    if isinstance(old, list) and isinstance(new, list):
        names = {item["name"] for item in new}
        return [item for item in old if item["name"] not in names] + new
    return new


def one(folder: Path, *kinds: str) -> Document:
    """Return the one document of these kinds that a kustomization comes to."""
    (document,) = [document for document in built(folder) if document["kind"] in kinds]
    return document


def workload(folder: Path) -> Document:
    return one(folder, "Deployment", "CronJob")


def pod(document: Document) -> Document:
    """Return the pod's template of a Deployment or CronJob."""
    spec = document["spec"]
    return spec["jobTemplate"]["spec"]["template"] if document["kind"] == "CronJob" else spec["template"]


def bridge_of(document: Document) -> Document:
    """Return the bridge's container."""
    spec = pod(document)["spec"]
    everything = [*spec.get("initContainers", ()), *spec["containers"]]
    (container,) = [container for container in everything if container["name"] == CONTAINER]
    return container


def config_of(folder: Path) -> Path:
    """Return the configuration that a variant's ConfigMap is made of."""
    own = [path for path in named(folder) if path.name == "config.toml"]
    below = [config_of(path) for path in named(folder) if path.is_dir() and not own and _has_config(path)]
    (config,) = own or below
    return config


def _has_config(folder: Path) -> bool:
    return any(path.name == "config.toml" for path in named(folder))
