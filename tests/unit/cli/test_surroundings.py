"""What a machine may lack: a home, a working directory, modes of files."""

import errno
import os
import pwd
import tempfile
from pathlib import Path

import pytest

from bridge.cli.home_directory_fallback import provide_home
from bridge.cli.output_files import absolute, refuse_existing, write_new
from bridge.config.file_loading import find
from bridge.errors import BridgeError, ConfigurationError


def refusing(number: int):
    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_who_has_no_home_gets_one_and_others_keep_theirs(monkeypatch) -> None:
    def nobody(_user: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for home, expected in (("/home/ada", "/home/ada"), ("", ""), (None, "/")):
        if home is None:
            monkeypatch.delenv("HOME")
        else:
            monkeypatch.setenv("HOME", home)
        provide_home()
        assert os.environ["HOME"] == expected


def test_a_folder_that_is_closed_to_the_user_holds_no_configuration(monkeypatch) -> None:
    monkeypatch.delenv("MLFLOW_BRIDGE_CONFIG", raising=False)
    monkeypatch.setattr(os, "stat", refusing(errno.EACCES))

    with pytest.raises(ConfigurationError, match="no configuration file"):
        find(None)


def test_a_working_directory_that_is_gone_is_told(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(os, "getcwd", refusing(errno.ENOENT))

    assert absolute(tmp_path) == tmp_path
    with pytest.raises(BridgeError, match=r"config\.toml: the working directory cannot be told"):
        absolute(Path("config.toml"))


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_a_configuration_is_written_where_modes_and_links_are_not_kept(tmp_path, monkeypatch, number) -> None:
    monkeypatch.setattr(os, "chmod", refusing(number))
    monkeypatch.setattr(os, "link", refusing(number))
    write_new(tmp_path / "config.toml", "text", 0o644, "")

    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]
    assert (tmp_path / "config.toml").read_text() == "text"


def test_a_file_system_that_cannot_flush_gets_a_configuration_and_a_failing_disk_none(
    tmp_path, monkeypatch
) -> None:
    for call in ("fdatasync", "fsync"):
        monkeypatch.setattr(os, call, refusing(errno.EINVAL))
    write_new(tmp_path / "one", "text", 0o644, "")
    monkeypatch.setattr(os, "fdatasync", refusing(errno.EIO))
    with pytest.raises(BridgeError, match=r"two cannot be written: Input/output error: .*dmesg"):
        write_new(tmp_path / "two", "text", 0o644, "")

    assert [path.name for path in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize(
    ("number", "mend"), [(errno.EROFS, "mount it for writing"), (errno.EDQUOT, "raise the quota")]
)
def test_what_keeps_a_configuration_from_being_written_is_told_with_its_mend(
    tmp_path, monkeypatch, number, mend
) -> None:
    monkeypatch.setattr(tempfile, "mkstemp", refusing(number))

    with pytest.raises(BridgeError, match=f"config cannot be written: {os.strerror(number)}: .*{mend}"):
        write_new(tmp_path / "config", "text", 0o644, "")


def test_a_link_that_leads_nowhere_is_there_already(tmp_path) -> None:
    (tmp_path / "config.toml").symlink_to(tmp_path / "nowhere")

    with pytest.raises(BridgeError, match="is there already: look"):
        refuse_existing(tmp_path / "config.toml", "look")
