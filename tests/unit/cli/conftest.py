"""Fixtures for the command line."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from support.cli import CommandLine

_configure = structlog.configure


@pytest.fixture
def bridge(tmp_path, monkeypatch, capsys) -> Iterator[CommandLine]:
    """The command line over a folder of its own; how it logs ends with the test.

    Loggers that are cached would keep its way of logging for the tests that come after.
    """
    monkeypatch.setattr(
        structlog, "configure", lambda **how: _configure(**{**how, "cache_logger_on_first_use": False})
    )
    yield CommandLine(tmp_path, monkeypatch, capsys)
    structlog.reset_defaults()
    logging.basicConfig(force=True)
