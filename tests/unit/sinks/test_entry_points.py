"""Kinds of sinks from packages: found, loaded when asked for, and refused in one clear sentence."""

import sys

import pytest
from support.packages import QUIET, Packages

from bridge.config import build
from bridge.errors import ConfigurationError
from bridge.operations.verified_configuration import load_settings
from bridge.sinks.sink_type_table import KINDS, Kinds, sink_of
from bridge.sinks.transport.exchange_recorder import NoTransport
from bridge.testing import sample

REGISTRY = {"tracking_uri": "http://r"}


@pytest.fixture
def packages(tmp_path, monkeypatch) -> Packages:
    return Packages(tmp_path / "site", monkeypatch)


@pytest.fixture
def configured(tmp_path):
    def configure(*sinks: str):
        path = tmp_path / "config.toml"
        path.write_text(
            'registry.tracking_uri = "http://r"\n' + "".join(f"[[sinks]]\n{one}\n" for one in sinks)
        )
        return load_settings(path)

    return configure


def sink(kind: str = "acme", more: str = "") -> str:
    return f'name = "ci-{kind}"\ntype = "{kind}"\n{more}'


def problems(configured, *sinks: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        configured(*sinks)
    return caught.value.problems


def problem(configured, *sinks: str) -> str:
    (found,) = problems(configured, *sinks)
    return found


async def test_a_sink_of_a_package_is_configured_and_delivers(packages, configured) -> None:
    packages.install()

    (settings,) = configured(sink(more='to_stages = ["Production"]')).sinks
    outcome = await sink_of(settings, NoTransport(), 1_000).deliver(sample())

    assert (outcome.verdict.value, settings.to_stages) == ("delivered", ("Production",))
    assert Kinds().package("acme") == "acme-sinks 1.2"


def test_only_the_kind_that_is_asked_for_is_imported(packages, configured) -> None:
    asked = packages.install()
    other = packages.install("raise RuntimeError", package="other", kinds=("other",))

    configured('name = "a"\ntype = "http"\nurl = "http://127.0.0.1/"')
    assert not {asked, other} & sys.modules.keys()
    configured(sink())
    assert (asked in sys.modules, other in sys.modules) == (True, False)


def test_looking_a_type_up_in_vain_imports_nothing_and_means_installed_ones_too(packages, configured) -> None:
    module = packages.install("raise RuntimeError", kinds=("pager_duty",))

    found = problem(configured, sink("pagerduty", "service = 1"))  # whose keys nobody here knows

    assert found == (
        "sinks[0].type: 'pagerduty' is not a type of sink (did you mean 'pager_duty'?): one of "
        + ", ".join(sorted([*KINDS, "pager_duty"]))
        + ", or one of a package: install it where the bridge is (pip install PACKAGE)"
    )
    assert module not in sys.modules


def test_keys_of_a_type_that_nobody_knows_are_not_called_wrong(configured) -> None:
    found = problem(configured, sink("kafka", 'brokers = ["h:9092"]'))

    assert found.startswith("sinks[0].type: 'kafka' is not a type of sink: one of ")
    assert found.endswith("or one of a package: install it where the bridge is (pip install PACKAGE)")


BROKEN = {
    "a missing library": ("import no_such_library", "KIND", "ModuleNotFoundError: No module named 'no_such"),
    "another interface's names": ("from bridge.plugin import Tomorrow", "KIND", "ImportError: cannot import"),
    "no such value": (QUIET, "OTHER", "AttributeError: module"),
    "a fault with a secret in it": ("raise ValueError('hunter2')", "KIND", "(ValueError)"),
    "an exit": ("raise SystemExit(3)", "KIND", "(SystemExit)"),
    "a syntax error": ("class", "KIND", "(SyntaxError)"),
    "a later Kind": (QUIET.replace("Quiet)", "Quiet, colour=1)"), "KIND", "(TypeError)"),
}


@pytest.mark.parametrize(("source", "value", "why"), BROKEN.values(), ids=BROKEN)
def test_a_package_that_cannot_be_imported_is_named_with_the_mend(
    packages, configured, source, value, why
) -> None:
    module = packages.install(source, value=value)

    found = problem(configured, sink())

    assert found.startswith("sinks[0].type: 'acme' comes from acme-sinks 1.2, which cannot be imported (")
    assert why in found
    assert "pip install --upgrade acme-sinks" in found
    assert f'python -c "import {module}"' in found
    assert "hunter2" not in found


WRONG = {
    "a class": (QUIET + "KIND = Quiet", "which registers a type where a bridge.plugin.Kind belongs"),
    "a later interface": (
        QUIET + "KIND = Kind(Settings, Quiet, interface=2)",
        "which is written for version 2 of the sinks' interface; this bridge has version 1: upgrade mlflow-bridge",
    ),
    "an earlier one": (
        QUIET + "KIND = Kind(Settings, Quiet, interface=0)",
        "which is written for version 0 of the sinks' interface; this bridge has version 1: upgrade the package",
    ),
    "no settings": (
        QUIET + "KIND = Kind(dict, Quiet)",
        "is not made of a subclass of bridge.plugin.SinkSett",
    ),
    "settings made": (
        QUIET + "KIND = Kind(Settings(name='a', type='b'), Quiet)",
        "is not made of a subclass",
    ),
    "nothing to build": (QUIET + "KIND = Kind(Settings, None)", "and a callable: tell its authors"),
}


@pytest.mark.parametrize(("source", "why"), WRONG.values(), ids=WRONG)
def test_a_package_that_registers_something_else_is_named_with_the_mend(
    packages, configured, source, why
) -> None:
    packages.install(source)

    found = problem(configured, sink())

    assert found.startswith("sinks[0].type: 'acme' comes from acme-sinks 1.2, ")
    assert why in found


def test_a_name_that_the_bridge_has_itself_is_nobody_elses(packages, configured) -> None:
    packages.install(kinds=("http",))

    found = problem(configured, 'name = "a"\ntype = "http"\nurl = "http://127.0.0.1/"')

    assert found == (
        "sinks[0].type: 'http' is a type of the bridge's own, and acme-sinks 1.2 registers another: "
        "uninstall that package"
    )


def test_a_name_that_two_packages_register_is_neithers(packages, configured) -> None:
    packages.install()
    packages.install(package="zeta", version="3")

    assert problem(configured, sink()) == (
        "sinks[0].type: 'acme' is registered more than once, by acme-sinks 1.2 and zeta 3: uninstall all but one"
    )


def test_a_package_that_is_faulty_hides_no_other_error(packages, configured) -> None:
    packages.install("raise RuntimeError")

    found = problems(configured, sink(), 'name = "a"\ntype = "http"\nurl = 5')

    assert [one.partition(":")[0] for one in found] == ["sinks[0].type", "sinks[1].url"]


def test_its_settings_are_judged_like_any_others(packages, configured) -> None:
    packages.install(QUIET.replace("pass", "colour: HttpUrl", 1))

    assert problems(configured, sink(more='colour = "red"\ncoluor = 1\nrate = 0')) == [
        'sinks[0].rate: must be a rate such as "1/s", "60/m" or "500/h": how many attempts, for each s, m, h or d',
        'sinks[0].colour: must be an http:// or https:// URL such as "https://ci.example.com/hooks/mlflow"',
        "sinks[0].coluor: unknown key (did you mean 'colour'?)",
    ]


HOOKS = {
    "origin": "def origin(self): return 1 / 0",
    "origins": "def origins(self): return 1 / 0",
    "secrets": "def secrets(self): return {'a': 'plain'}",
    "remarks": "def remarks(self): yield 5",
    "default_rate_ms": "def default_rate_ms(self): return -1",
    "default_concurrency": "def default_concurrency(self): return 'two'",
    "misfit": "token: Secret\n    def misfit(self, key, value): return value[5]",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_settings_that_cannot_answer_what_they_are_asked_are_an_error(packages, configured, hook) -> None:
    module = packages.install(QUIET.replace("pass", HOOKS[hook], 1))
    more = 'token = { env = "X" }' if "token" in HOOKS[hook] else ""

    found = problem(configured, sink(more=more))

    assert found.startswith(f"sinks[0]: {module}.Settings.{hook} ")
    assert found.endswith(": a fault in its package")


def test_validators_that_fail_are_an_error_and_not_a_crash(packages, configured) -> None:
    module = packages.install(QUIET.replace("pass", "def shapes(self): raise KeyError('x')", 1))

    assert problem(configured, sink()) == (
        f"sinks[0]: {module}.Settings fails on this (KeyError): a fault in its package"
    )


def test_check_finds_a_sink_that_cannot_be_made_and_others_go_on(packages, tmp_path, capsys) -> None:
    from bridge.cli.command_group import cli

    packages.install(QUIET.replace("pass\n\n    async", "raise OSError('hunter2')\n\n    async"))
    path = tmp_path / "config.toml"
    path.write_text(f'registry.tracking_uri = "http://r"\n[[sinks]]\n{sink()}')

    code = cli.main(["check", "--config", str(path)], standalone_mode=False)

    shown = capsys.readouterr()
    assert (code, shown.out) == (78, "acme: from acme-sinks 1.2\n")
    assert shown.err == "mlflow-bridge: sinks[0]: acme-sinks 1.2 cannot make the sink: OSError\n"


def test_a_kind_is_loaded_once_and_found_by_whoever_asks_later(packages) -> None:
    table = {"name": "a", "type": "acme"}
    with pytest.raises(ConfigurationError, match="is not a type of sink"):
        build({"registry": REGISTRY, "sinks": [table]}, Kinds())
    packages.install()

    first = build({"registry": REGISTRY, "sinks": [table]}, Kinds()).sinks  # as a reload would
    assert first == build({"registry": REGISTRY, "sinks": [table]}, Kinds()).sinks
