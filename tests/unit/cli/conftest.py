"""Fixtures for the command line."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from support.cli import CommandLine


@pytest.fixture
def bridge(tmp_path, monkeypatch, capsys) -> Iterator[CommandLine]:
    """The command line over a folder of its own; how it logs ends with the test."""
    yield CommandLine(tmp_path, monkeypatch, capsys)
    structlog.reset_defaults()
    logging.basicConfig(force=True)
