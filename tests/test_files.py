"""A file is written whole or not at all, whatever happens on the way."""

import errno
import os
import resource
import signal
import stat
from pathlib import Path

import pytest

from tinygrad_sm.files import must_be_writable, open_regular, write_whole


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of our own with a file and a bit of everything that is no file, and the current one."""
    monkeypatch.chdir(tmp_path)
    Path("old").write_text("old")
    Path("folder").mkdir()
    Path("link").symlink_to("folder/target")
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if stat.S_ISREG(os.lstat(p).st_mode)}


@pytest.mark.parametrize(
    ("data", "there"),
    [
        (b"", b""),
        (b"\0\r\n\xff", b"\0\r\n\xff"),
        (bytearray(b"ab"), b"ab"),
        ("", b""),
        ("naïve ∂\r\n\n", b"na\xc3\xafve \xe2\x88\x82\r\n\n"),
        (b"x" * 3_000_000, b"x" * 3_000_000),
    ],
)
@pytest.mark.parametrize("path", ["old", "new", b"bytes", Path("folder/new"), "folder/../new", "n" * 255, "ü", "a\nb"])
def test_data_arrive_as_they_are_and_nothing_else_changes(folder, path, data, there):
    before = contents(folder)
    returned = write_whole(path, data)
    assert returned == Path(os.fsdecode(path)) and returned.read_bytes() == there
    name = os.path.relpath(os.path.realpath(os.fsdecode(path)), folder.resolve())
    assert contents(folder) == before | {name: there}


def test_a_link_stays_a_link_and_its_target_is_written(folder):
    for text in ("first", "second"):
        write_whole("link", text)
        assert os.readlink("link") == "folder/target" and Path("folder/target").read_text() == text
    assert sorted(os.listdir("folder")) == ["target"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
def test_permissions_are_the_ordinary_ones_or_those_of_the_file_that_is_replaced(folder, umask):
    os.chmod("old", 0o4604)  # who replaces a program does not inherit its powers
    earlier = os.umask(umask)
    try:
        write_whole("old", "new")
        write_whole("new", "new")
    finally:
        os.umask(earlier)
    assert stat.S_IMODE(os.stat("old").st_mode) == 0o604
    assert stat.S_IMODE(os.stat("new").st_mode) == 0o666 & ~umask


def test_the_name_is_taken_when_the_data_are_on_the_disk_and_not_before(folder, monkeypatch):
    os.chmod("old", 0o600)
    happened = []
    fsync, replace, chmod = os.fsync, os.replace, os.chmod

    def secret(made, mode):
        assert os.stat(made).st_size == 0 and os.stat(made).st_mode & 0o077 == 0  # nobody else can have opened it
        chmod(made, mode)

    def look(source, target):
        assert Path("old").read_text() == "old" and Path(source).read_text() == "new" * 1000
        assert stat.S_IMODE(os.stat(source).st_mode) == 0o600 and os.path.dirname(source) == os.path.dirname(target)
        happened.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", lambda f: (happened.append(os.fstat(f).st_size), fsync(f)))
    monkeypatch.setattr(os, "replace", look)
    monkeypatch.setattr(os, "chmod", secret)
    write_whole("old", "new" * 1000)
    assert happened == [3000, "replace"] and Path("old").read_text() == "new" * 1000


# --- what goes wrong


PLACES = [("chmod", "old"), *((where, path) for where in ("open", "fsync", "replace") for path in ("old", "new", "link"))]


@pytest.mark.parametrize(("where", "path"), PLACES)
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_what_stops_it_leaves_everything_as_it_was(folder, monkeypatch, path, error, where):
    def stop(*_):
        raise error

    before = contents(folder)
    monkeypatch.setattr(os, where, stop)
    with pytest.raises(type(error)) as caught:
        write_whole(path, "data")
    monkeypatch.undo()
    assert contents(folder) == before
    if isinstance(error, OSError):
        assert str(caught.value) == f"cannot write {path!r}: no space left on device" and caught.value.errno == errno.ENOSPC


def test_a_disk_that_fills_up_half_way(folder):
    before = contents(folder)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"^cannot write 'old': file too large$"):
            write_whole("old", b"x" * 200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("path", "kind", "sentence"),
    [
        ("", IsADirectoryError, "cannot write '': the path must end in the name of a file"),
        ("folder", IsADirectoryError, "cannot write 'folder': it is a folder"),
        ("folder/", IsADirectoryError, "cannot write 'folder/': the path must end in the name of a file"),
        ("old/", IsADirectoryError, "cannot write 'old/': the path must end in the name of a file"),
        ("folder/..", IsADirectoryError, "cannot write 'folder/..': it is a folder"),
        ("no/new", FileNotFoundError, "cannot write 'no/new': there is no folder '{}/no'"),
        ("old/new", NotADirectoryError, "cannot write 'old/new': '{}/old' is not a folder"),
        ("pipe", OSError, "cannot write 'pipe': it is not a regular file"),
        ("/dev/null", OSError, "cannot write '/dev/null': it is not a regular file"),
        ("loop", OSError, "cannot write 'loop': too many levels of symbolic links"),
        ("n" * 256, OSError, f"cannot write '{'n' * 256}': file name too long"),
        ("a\0b", ValueError, r"cannot write 'a\x00b': a path has no null characters"),
        (3, TypeError, "cannot write: the path must be a str or an os.PathLike, not int"),
        (None, TypeError, "cannot write: the path must be a str or an os.PathLike, not NoneType"),
    ],
)
def test_a_path_that_cannot_be_written(folder, path, kind, sentence):
    before = contents(folder)
    for write in (lambda: write_whole(path, "data"), lambda: must_be_writable(path)):
        with pytest.raises(kind) as caught:
            write()
        assert str(caught.value) == sentence.format(folder.resolve()) and type(caught.value) is kind
    assert contents(folder) == before and stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_whether_a_path_can_be_written_is_told_without_a_trace(folder):
    before = sorted(folder.rglob("*"))
    for path in ("old", "new", "link", Path("folder/new")):
        must_be_writable(path)
    assert sorted(folder.rglob("*")) == before and Path("old").read_text() == "old"


def test_a_read_only_file_stays(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # whoever runs the tests may be root, who may write anything
    with pytest.raises(PermissionError, match=r"^cannot write 'old': the file is read-only$"):
        write_whole("old", "new")
    assert Path("old").read_text() == "old"


@pytest.mark.parametrize(
    ("data", "kind", "sentence"),
    [
        (3, TypeError, "cannot write 'old': the data must be bytes or str, not int"),
        (None, TypeError, "cannot write 'old': the data must be bytes or str, not NoneType"),
        ("ab\udc80", ValueError, "cannot write 'old': the text has a lone surrogate at position 2"),
    ],
)
def test_data_that_cannot_be_written(folder, data, kind, sentence):
    before = contents(folder)
    with pytest.raises(kind) as caught:
        write_whole("old", data)
    assert str(caught.value) == sentence and contents(folder) == before


# --- opening


def test_a_regular_file_is_opened_through_links_too(folder):
    Path("to old").symlink_to("old")
    for path in ("old", b"old", Path("old"), "to old"):
        with open_regular(path) as file:
            assert file.read() == b"old"


@pytest.mark.parametrize(
    ("path", "kind", "reason"),
    [
        ("no", FileNotFoundError, "no such file or directory"),
        ("link", FileNotFoundError, "no such file or directory"),
        ("old/x", NotADirectoryError, "not a directory"),
        ("folder", IsADirectoryError, "it is a folder"),
        ("pipe", OSError, "it is not a regular file"),
        ("/dev/zero", OSError, "it is not a regular file"),
        ("loop", OSError, "too many levels of symbolic links"),
        ("a\0b", ValueError, "a path has no null characters"),
    ],
)
def test_what_is_no_regular_file_is_refused_and_never_waited_for(folder, path, kind, reason):
    with pytest.raises(kind) as caught:
        open_regular(path)
    assert str(caught.value) == f"cannot read {path!r}: {reason}" and type(caught.value) is kind


def test_a_path_to_read_that_is_none():
    with pytest.raises(TypeError, match=r"^cannot read: the path must be a str or an os.PathLike, not float$"):
        open_regular(2.5)
