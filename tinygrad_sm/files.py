"""Writing a file whole or not at all, so that a crash, a full disk or Ctrl-C leaves no half file; and opening one to read."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["must_be_writable", "open_regular", "path_name", "write_whole"]


def write_whole(path: str | os.PathLike[str], data: bytes | str) -> Path:
    r"""Put `data` into the file `path`, all of it or nothing, and return the path.

    The data go into a temporary file in the same folder, down to the disk, and then take the name in one step. Whatever stops
    that, the old file stays as it was and no temporary file is left. Text is written as UTF-8, its line ends as they are. A
    new file has the ordinary permissions, one that replaces another has those of the other; a symbolic link is followed.

    Raises FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError or another OSError, in one sentence.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_whole(os.path.join(folder, "loss.txt"), "0.25\n")
    ...     path.read_text(), os.listdir(folder)
    ('0.25\n', ['loss.txt'])
    """
    from pathlib import Path

    name = path_name(path, "write")
    if isinstance(data, str):
        try:
            data = data.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"cannot write {name!r}: the text has a lone surrogate at position {error.start}") from None
    elif not isinstance(data, (bytes, bytearray)):
        raise TypeError(f"cannot write {name!r}: the data must be bytes or str, not {type(data).__name__}")

    try:
        target, mode = _target(name)
        temporary = os.path.join(os.path.dirname(target), f".{os.urandom(8).hex()}.tmp")  # short, as names have a limit
        try:
            with open(temporary, "xb", opener=lambda p, flags: os.open(p, flags, 0o666 if mode is None else mode)) as file:
                if mode is not None:
                    os.chmod(temporary, mode)  # what the umask took
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):  # never made, or already in its place
                os.unlink(temporary)
            raise
    except OSError as error:
        raise _in_a_sentence("write", name, error) from None
    return Path(name)


def must_be_writable(path: str | os.PathLike[str]) -> None:
    """Raises what `write_whole` would, before the work whose result is to be written. Nothing is left behind."""
    from tempfile import TemporaryFile

    name = path_name(path, "write")
    try:
        target, _ = _target(name)
        TemporaryFile(dir=os.path.dirname(target)).close()
    except OSError as error:
        raise _in_a_sentence("write", name, error) from None


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read its bytes. A folder, a pipe or a device is an OSError at once, as is a file that is not there."""
    name = path_name(path, "read")
    try:
        _refuse_irregular(os.stat(name))  # before opening it, since opening a pipe waits for a writer
        return open(name, "rb")
    except OSError as error:
        raise _in_a_sentence("read", name, error) from None


def path_name(path: str | os.PathLike[str], verb: str) -> str:
    """A path as a str; what cannot be one is an error that says what could not be done (`verb`) with it."""
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"cannot {verb}: the path must be a str or an os.PathLike, not {type(path).__name__}") from None
    if "\0" in name:
        raise ValueError(f"cannot {verb} {name!r}: a path has no null characters")
    return name


def _target(name: str) -> tuple[str, int | None]:
    """The file that is to be replaced or made, links followed, and the permissions of the one that is there."""
    if not os.path.basename(name):
        raise IsADirectoryError(errno.EISDIR, "the path must end in the name of a file")
    target = os.path.realpath(name)
    folder = os.path.dirname(target)
    try:
        there = os.stat(target)
    except FileNotFoundError:
        if not os.path.isdir(folder):
            raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder!r}") from None
        return target, None
    except NotADirectoryError:
        raise NotADirectoryError(errno.ENOTDIR, f"{folder!r} is not a folder") from None
    _refuse_irregular(there)  # or else a name like /dev/null would be replaced
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is read-only")
    return target, stat.S_IMODE(there.st_mode) & 0o777


def _refuse_irregular(there: os.stat_result) -> None:
    if stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(there.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")


def _in_a_sentence(verb: str, name: str, error: OSError) -> OSError:
    """An error of the same kind and number that says which file and why, without `[Errno 2]` in front."""
    reason = error.strerror or str(error)
    told = type(error)(f"cannot {verb} {name!r}: {reason[:1].lower()}{reason[1:]}")
    told.errno = error.errno
    return told
