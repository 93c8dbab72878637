"""What file systems refuse: passed over where no promise rests on it, told with its own mend where one does."""

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from bridge.errors import StateOwned, StateUnwritable
from bridge.store import durable_files
from bridge.store.durable_files import flush_folder, give_to_owner, write_all
from bridge.store.file_error_advice import mend_of, word_of
from bridge.store.folder_lock import FolderLock, has_owner
from bridge.store.tinydb_store import TinyDocuments


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state"


def refuse(monkeypatch, call: str, number: int, when=lambda *_args: True) -> list[tuple]:
    """Have the system refuse a call; return the list of those that it refused."""
    real, refused = getattr(os, call), []

    def refusing(*arguments, **options):
        if not when(*arguments):
            return real(*arguments, **options)
        refused.append(arguments)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refusing)
    return refused


def is_folder(descriptor: int, *_args: object) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def commit(documents: TinyDocuments, **rows: object) -> None:
    documents.write({"t": {key: {"value": value} for key, value in rows.items()}})


def kept(folder: Path) -> dict[str, object]:
    documents = TinyDocuments.read(folder)
    return {key: document["value"] for key, document in documents.items("t")}


@pytest.mark.parametrize(
    "number",
    [errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM, errno.ENOSYS],
)
def test_a_folder_that_cannot_be_flushed_is_no_fault(folder, monkeypatch, number) -> None:
    refused = refuse(monkeypatch, "fsync", number, is_folder)
    for _ in range(2):
        documents = TinyDocuments.open(folder)
        commit(documents, a=1)
        documents._database.storage.compact()
        commit(documents, b=2)
        documents.close()

    assert refused
    assert kept(folder) == {"a": 1, "b": 2}


def test_a_folder_that_may_be_written_but_not_read_is_no_fault(tmp_path, monkeypatch) -> None:
    refuse(monkeypatch, "open", errno.EACCES, lambda path, *_args: path == tmp_path)

    flush_folder(tmp_path)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.EROFS])
def test_a_folder_whose_flush_fails_leaves_the_change_in_doubt_and_says_so(
    folder, monkeypatch, number
) -> None:
    documents = TinyDocuments.open(folder)
    commit(documents, a=1)
    with monkeypatch.context() as patched:
        refuse(patched, "fsync", number, is_folder)
        with pytest.raises(StateUnwritable, match="whether the change is kept is not known") as caught:
            documents._database.storage.compact()
    commit(documents, b=2)
    documents.close()

    assert os.strerror(number) in str(caught.value)
    assert "nothing was changed" not in str(caught.value)
    assert kept(folder) == {"a": 1, "b": 2}


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EIO])
def test_a_journal_that_cannot_be_replaced_is_appended_to_as_before(folder, monkeypatch, number) -> None:
    documents = TinyDocuments.open(folder)
    commit(documents, a=1)
    with monkeypatch.context() as patched:
        refuse(patched, "rename", number)
        with pytest.raises(StateUnwritable, match=r"cannot be replaced: .*; nothing was changed: "):
            documents._database.storage.compact()
        commit(documents, b=2)
    documents.close()

    assert kept(folder) == {"a": 1, "b": 2}
    assert sorted(path.name for path in folder.iterdir()) == ["journal", "lock"]


@pytest.mark.parametrize(
    ("call", "number", "mend"),
    [
        ("pwrite", errno.ENOSPC, "free space on its file system, or inodes"),
        ("pwrite", errno.EDQUOT, "raise the quota"),
        ("pwrite", errno.EFBIG, "ulimit -f"),
        ("pwrite", errno.EROFS, "mount it for writing"),
        ("pwrite", errno.EIO, "dmesg"),
        ("pwrite", errno.ESTALE, "NFS server"),
        ("pwrite", errno.ENOTCONN, "mount it again"),
        ("fdatasync", errno.EIO, "dmesg"),
        ("fdatasync", errno.ENOSPC, "free space"),
        ("fdatasync", errno.EDQUOT, "quota"),
    ],
)
def test_a_commit_that_fails_changes_nothing_and_names_its_own_mend(
    folder, monkeypatch, call, number, mend
) -> None:
    documents = TinyDocuments.open(folder)
    commit(documents, a=1)
    with monkeypatch.context() as patched:
        refuse(patched, call, number)
        with pytest.raises(StateUnwritable, match="nothing was changed: ") as caught:
            commit(documents, b=2)
    assert kept(folder) == {"a": 1}
    commit(documents, c=3)
    documents.close()

    assert os.strerror(number) in str(caught.value)
    assert mend in str(caught.value)
    assert kept(folder) == {"a": 1, "c": 3}


def test_a_failed_commit_that_cannot_be_cut_off_is_told_to_be_in_doubt(folder, monkeypatch) -> None:
    documents = TinyDocuments.open(folder)
    commit(documents, a=1)
    with monkeypatch.context() as patched:
        refuse(patched, "fdatasync", errno.EIO)
        refuse(patched, "ftruncate", errno.EIO)
        with pytest.raises(StateUnwritable, match="whether the change is kept is not known"):
            commit(documents, b=2)
    commit(documents, c=3)
    documents.close()

    assert kept(folder) == {"a": 1, "c": 3}


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_where_data_alone_cannot_be_flushed_the_whole_file_is(folder, monkeypatch, number) -> None:
    refuse(monkeypatch, "fdatasync", number)
    documents = TinyDocuments.open(folder)
    flushed = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    commit(documents, a=1)
    documents.close()

    assert len(flushed) == 1
    assert kept(folder) == {"a": 1}


def test_a_disk_that_takes_nothing_and_says_nothing_is_a_fault(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_args: 0)

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write_all(0, b"data", 0)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES])
def test_a_file_system_without_modes_is_no_fault(folder, monkeypatch, number) -> None:
    refuse(monkeypatch, "fchmod", number)
    monkeypatch.setattr(Path, "chmod", lambda *_args: (_ for _ in ()).throw(OSError(number, "no")))
    folder.mkdir(mode=0o755)
    before = os.umask(0o277)
    try:
        documents = TinyDocuments.open(folder)
    finally:
        os.umask(before)
    commit(documents, a=1)
    documents.close()

    assert kept(folder) == {"a": 1}


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o277, 0o777])
def test_modes_are_the_same_whatever_the_umask(folder, mask) -> None:
    before = os.umask(mask)
    try:
        TinyDocuments.open(folder).close()
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}

    assert modes == {"state": 0o700, "journal": 0o600, "lock": 0o600}


def test_a_folder_that_belongs_to_all_stays_so_and_setgid_stays(folder, tmp_path) -> None:
    folder.mkdir()
    folder.chmod(0o2775)
    TinyDocuments.open(folder).close()
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    TinyDocuments.open(shared).close()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o2700
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


@pytest.fixture
def owners(monkeypatch):
    """Be root, on files that are another user's by their names."""
    theirs: set[Path] = set()
    real = Path.stat

    def seen(path, **options):
        found = real(path, **options)
        if path not in theirs:
            return found
        fields = list(found)
        fields[stat.ST_UID] = os.getuid() + 1
        return os.stat_result(fields)

    monkeypatch.setattr(Path, "stat", seen)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return theirs


def test_where_the_owner_is_right_already_nobody_is_asked_to_change_it(folder, monkeypatch, owners) -> None:
    refused = refuse(monkeypatch, "fchown", errno.EPERM)
    documents = TinyDocuments.open(folder)
    documents._database.storage.compact()
    documents.close()

    assert refused == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL])
def test_new_files_that_cannot_be_given_to_the_folders_owner_stay_ours(
    folder, monkeypatch, owners, number
) -> None:
    refused = refuse(monkeypatch, "fchown", number)
    owners.add(folder)
    documents = TinyDocuments.open(folder)
    commit(documents, a=1)
    documents.close()

    assert refused
    assert kept(folder) == {"a": 1}


def test_a_journal_is_never_taken_from_its_owner(folder, monkeypatch, owners) -> None:
    documents = TinyDocuments.open(folder)
    commit(documents, a=1)
    refuse(monkeypatch, "fchown", errno.EPERM)
    owners.add(folder / "journal")
    with pytest.raises(StateUnwritable, match="nothing was changed: mend the permissions: its owner"):
        documents._database.storage.compact()
    commit(documents, b=2)
    documents.close()

    assert kept(folder) == {"a": 1, "b": 2}


def test_files_of_root_are_given_to_the_owner_of_the_folder(tmp_path, monkeypatch, owners) -> None:
    given = []
    monkeypatch.setattr(os, "fchown", lambda *arguments: given.append(arguments))
    owners.add(tmp_path)
    with (tmp_path / "file").open("w") as stream:
        give_to_owner(stream.fileno(), tmp_path)

        assert given == [(stream.fileno(), os.getuid() + 1, tmp_path.stat().st_gid)]


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.ENOLCK, r"start rpc\.statd .*local_lock=flock"),
        (errno.ENOSYS, "has no locks .*mount option flock"),
        (errno.EOPNOTSUPP, "has no locks .*mount option flock"),
        (errno.EINVAL, "has no locks"),
        (errno.EIO, "dmesg"),
        (errno.ESTALE, "NFS server"),
    ],
)
def test_without_locks_nothing_is_owned_and_no_file_stands_for_a_lock(
    folder, monkeypatch, number, mend
) -> None:
    def refused(*_args: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", refused)
        for _ in range(2):
            with pytest.raises(StateUnwritable, match=rf"cannot be locked: {os.strerror(number)}: .*{mend}"):
                TinyDocuments.open(folder)
        with pytest.raises(StateUnwritable, match="cannot be locked"):
            has_owner(folder)

    TinyDocuments.open(folder).close()


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_a_lock_that_another_has_is_told_so(folder, monkeypatch, number) -> None:
    folder.mkdir()

    def refused(*_args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(StateOwned, match="another mlflow-bridge owns"):
        FolderLock(folder)


def test_a_lock_file_that_somebody_else_left_is_no_lock(folder) -> None:
    folder.mkdir()
    (folder / "lock").write_text("4711\nhost\n")

    TinyDocuments.open(folder).close()
    assert (folder / "lock").read_text() == "4711\nhost\n"


def test_whether_a_folder_is_owned_can_be_asked_without_writing_to_it(folder, monkeypatch) -> None:
    assert not has_owner(folder)
    documents = TinyDocuments.open(folder)
    assert has_owner(folder)
    documents.close()
    refuse(monkeypatch, "open", errno.EROFS, lambda _path, flags, *_args: flags & os.O_RDWR)

    assert not has_owner(folder)


def test_that_it_cannot_be_told_whether_a_folder_is_owned_is_no_no(folder) -> None:
    folder.mkdir()
    (folder / "lock").symlink_to(folder)

    with pytest.raises(StateUnwritable, match=r"cannot be told: .*symbolic link"):
        has_owner(folder)


def test_a_lock_that_was_cleared_away_is_taken_again(folder) -> None:
    documents = TinyDocuments.open(folder)
    (folder / "lock").unlink()
    commit(documents, a=1)

    with pytest.raises(StateOwned):
        TinyDocuments.open(folder)
    documents.close()


def test_a_lock_that_was_removed_between_opening_and_locking_it_is_opened_anew(folder, monkeypatch) -> None:
    folder.mkdir()
    real, calls = fcntl.flock, []

    def flock(descriptor: int, kind: int) -> None:
        if not calls:
            (folder / "lock").unlink()
        calls.append(descriptor)
        real(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = FolderLock(folder)

    assert has_owner(folder)
    assert len(calls) == 3
    lock.release()


def test_who_lost_the_folder_to_another_writes_nothing_more(folder) -> None:
    first = TinyDocuments.open(folder)
    commit(first, a=1)
    (folder / "lock").unlink()
    second = TinyDocuments.open(folder)
    commit(second, b=2)

    with pytest.raises(StateUnwritable, match=r"was moved, removed or replaced .*another mlflow-bridge owns"):
        commit(first, c=3)
    second.close()
    with pytest.raises(StateUnwritable, match="or other content"):  # whatever the second one wrote
        commit(first, c=3)
    first.close()
    assert kept(folder) == {"a": 1, "b": 2}


def test_a_folder_that_is_moved_away_is_missed_and_gone_on_with_once_it_is_back(folder, tmp_path) -> None:
    documents = TinyDocuments.open(folder)
    commit(documents, a=1)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(StateUnwritable, match="was moved, removed or replaced under the running bridge"):
        commit(documents, b=2)
    (tmp_path / "elsewhere").rename(folder)
    commit(documents, c=3)
    documents.close()

    assert kept(folder) == {"a": 1, "c": 3}


def test_a_journal_that_is_removed_is_missed_and_not_written_to_where_nobody_finds_it(folder) -> None:
    documents = TinyDocuments.open(folder)
    commit(documents, a=1)
    (folder / "journal").unlink()

    with pytest.raises(StateUnwritable, match=r"journal was moved, removed .*No such file"):
        commit(documents, b=2)
    documents.close()


def test_a_large_change_overwrites_no_journal_that_somebody_else_put_there(folder) -> None:
    documents = TinyDocuments.open(folder)
    commit(documents, a=1)
    other = (folder / "journal").read_bytes()
    (folder / "journal").unlink()
    (folder / "other").write_bytes(other)  # another file, with the same content
    (folder / "other").rename(folder / "journal")

    with pytest.raises(StateUnwritable, match="another file is there"):
        commit(documents, **{f"k{number}": number for number in range(3_000)})
    documents.close()
    assert (folder / "journal").read_bytes() == other


def test_a_change_in_doubt_is_replaced_by_what_the_process_knows(folder, monkeypatch) -> None:
    documents = TinyDocuments.open(folder)
    commit(documents, a=1)
    with monkeypatch.context() as patched:
        refuse(patched, "fsync", errno.EIO, is_folder)
        for _ in range(2):
            with pytest.raises(StateUnwritable, match="is not known"):
                commit(documents, **{f"k{number}": number for number in range(3_000)})
    assert documents.count("t") == 1
    commit(documents, b=2)
    documents.close()

    assert kept(folder) == {"a": 1, "b": 2}


@pytest.mark.parametrize("what", ["file", "dangling", "loop"])
def test_what_has_the_folders_name_and_is_none_is_told(folder, what) -> None:
    if what == "file":
        folder.touch()
    else:
        folder.symlink_to(folder if what == "loop" else folder.with_name("nowhere"))

    with pytest.raises(StateUnwritable, match=r"cannot be made: File exists: .*choose another in state\.url"):
        TinyDocuments.open(folder)


def test_each_error_number_has_a_sentence_and_the_others_have_one_together() -> None:
    numbers = (
        *(errno.EINVAL, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EACCES),
        *(errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EMFILE, errno.EBUSY),
    )
    told = {mend_of(OSError(number, "")) for number in numbers}

    assert len(told) == len(numbers)
    assert mend_of(OSError("nothing")) == mend_of(OSError(errno.EINVAL, ""))
    assert word_of(OSError(errno.EIO, "")) == os.strerror(errno.EIO)
    assert word_of(OSError("in words")) == "in words"


def test_a_close_that_fails_is_no_fault_of_what_was_flushed(monkeypatch) -> None:
    refuse(monkeypatch, "close", errno.EIO)

    durable_files.close(99)
