"""Settings and fixtures for all tests."""

import os
import sys
import warnings
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings
from support.mlflow_server import MlflowServer
from support.postgresql import PostgreSql, postgresql, what_is_missing
from support.receiver import Receiver
from support.traced_threads import deliver_late

from bridge.config import mlflow_process_environment as mlflow_environment
from bridge.pipeline.worker_threads import ThreadedCall

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

_configure = structlog.configure
# Loggers that are cached would keep one test's way of logging for all that come after.
structlog.configure = lambda **how: _configure(**{**how, "cache_logger_on_first_use": False})

if sys.gettrace() is not None:
    deliver_late(ThreadedCall.cut_off)

settings.register_profile(
    "ci", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("thorough", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def _each_test_logs_its_own_way() -> Iterator[None]:
    """Undo what a command that ran in this process said about logs."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _each_test_has_the_same_environment() -> Iterator[None]:
    """Undo what was set for MLflow's client, which takes its settings from the environment alone."""
    variables, replaced = dict(os.environ), dict(mlflow_environment._replaced)
    yield
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
    mlflow_environment._replaced.clear()
    mlflow_environment._replaced.update(replaced)


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[MlflowServer]:
    """A real MLflow server, shared: every test uses models of its own."""
    server = MlflowServer(tmp_path_factory.mktemp("mlflow")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgreSql]:
    """A real PostgreSQL, shared: every test uses a schema of its own."""
    if what_is_missing():
        pytest.skip(what_is_missing())
    with postgresql() as cluster:
        cluster.create("states")
        yield cluster


@pytest.fixture
def client(server):
    """A client with which tests change the registry."""
    warnings.filterwarnings("ignore")
    from mlflow import MlflowClient

    return MlflowClient(server.url)


@pytest.fixture
def model(client, request) -> str:
    """A registered model of the test's own, with one version."""
    name = request.node.name[:80]
    client.create_registered_model(name)
    client.create_model_version(name, "s3://b/x")
    return name


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A real receiver that answers 204."""
    receiver = Receiver()
    yield receiver
    receiver.stop()
