"""What is delivered is what happened, whatever happens while the bridge polls."""

from collections.abc import Iterator

import pytest
from support import mariadb
from support.mlflow_server import MlflowServer
from support.plugged_server import PluggedServer
from support.postgresql import postgresql, what_is_missing
from support.trial import Verdict, trial
from support.workload import Workload

MUTATIONS = 150


@pytest.fixture(scope="module")
def postgresql_server(tmp_path_factory) -> Iterator[MlflowServer]:
    if missing := what_is_missing():
        pytest.skip(missing)
    with postgresql() as cluster:
        cluster.create("registry")
        server = MlflowServer(
            tmp_path_factory.mktemp("mlflow"), "--backend-store-uri", cluster.uri("registry")
        )
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture(scope="module")
def mariadb_server(tmp_path_factory) -> Iterator[MlflowServer]:
    if missing := mariadb.what_is_missing():
        pytest.skip(missing)
    with mariadb.mariadb() as databases:
        databases.create("registry")
        server = MlflowServer(
            tmp_path_factory.mktemp("mlflow"), "--backend-store-uri", databases.uri("registry")
        )
        try:
            yield server.start()
        finally:
            server.stop()


def judged(verdict: Verdict) -> None:
    assert "\n".join(verdict.faults) == ""
    assert (verdict.mutations > MUTATIONS / 3, verdict.polls["full"] > 1) == (True, True)


def test_what_is_delivered_applied_to_the_baseline_gives_the_registry(tmp_path, server) -> None:
    judged(trial(tmp_path / "bridge", server.url, Workload(server.url, 3, MUTATIONS, prefix="sqlite")))


@pytest.mark.extra
def test_so_it_does_where_mlflows_server_sends_hints_and_refuses(tmp_path) -> None:
    with PluggedServer(tmp_path / "mlflow").running() as plugged:
        workload = Workload(plugged.url, 6, MUTATIONS)
        judged(trial(tmp_path / "bridge", plugged.url, workload, plugged.bridge_port))


@pytest.mark.extra
def test_so_it_does_with_a_registry_on_postgresql(tmp_path, postgresql_server) -> None:
    url = postgresql_server.url
    judged(trial(tmp_path / "bridge", url, Workload(url, 4, MUTATIONS)))


@pytest.mark.extra
def test_so_it_does_with_a_registry_on_mariadb(tmp_path, mariadb_server) -> None:
    url = mariadb_server.url
    judged(trial(tmp_path / "bridge", url, Workload(url, 5, MUTATIONS)))
