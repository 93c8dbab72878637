"""Fixtures for the command line."""

import pytest
from support.cli import CommandLine


@pytest.fixture
def bridge(tmp_path, monkeypatch, capsys) -> CommandLine:
    """The command line over a folder of its own."""
    return CommandLine(tmp_path, monkeypatch, capsys)
