"""Which program lays graphs out, and how it is called.

The `dot` of the system comes first, since people expect their own; the extra `tinygrad_sm[dot]` brings one where there is none;
the package pygraphviz has the same layout as a library, which runs in a Python of its own, so that it can crash no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

VARIABLE = "TINYGRAD_SM_DOT"
EXTRA = "graphviz-pure"  # the program of the extra
LIBRARY = "pygraphviz"
_INSTALL = "pip install 'tinygrad_sm[dot]', or install the Graphviz of your system"

_CHILD = """
import sys
folder, kind, options = sys.argv[1:]
sys.path.append(folder)
try:
    from pygraphviz import AGraph
    graph = AGraph(string=sys.stdin.buffer.read().decode())
    sys.stdout.buffer.write(graph.draw(format=kind, prog="dot", args=options))
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def find_engine(engine: str | os.PathLike[str] | None = None) -> str:
    """The path of the program that lays graphs out, or "pygraphviz" for the library of that name.

    `engine` (a path or a name on PATH), else the environment variable TINYGRAD_SM_DOT, else `dot`, else that of the extra
    `tinygrad_sm[dot]`, else pygraphviz. Raises a FileNotFoundError that says what to install.
    """

    asked = asked_for(engine)
    if asked is None:
        if found := next(_engines(), None):
            return found
        raise FileNotFoundError(f"draw: a picture needs the program dot, and it was not found: {_INSTALL}")
    if found := _which(asked) or (LIBRARY if asked == LIBRARY and _folder_of_library() else None):
        return found
    source = "engine" if engine else f"the environment variable {VARIABLE}"
    raise FileNotFoundError(f"draw: {source} names {asked!r}, and there is no such program")


def asked_for(engine: str | os.PathLike[str] | None) -> str | None:
    """The engine that the caller or the environment names; None where neither does."""
    import os

    try:
        return os.fsdecode(engine or os.environ.get(VARIABLE) or "") or None
    except TypeError:
        raise TypeError(f"draw: engine is the name or the path of a program, not {engine!r}") from None


def engines_after(program: str) -> Iterator[str]:
    """The engines that come after the first of the chain, for where that one fails."""
    return (other for other in _engines() if other != program)


def is_extra(program: str) -> bool:
    """Whether it is the program of the extra, which has fonts of its own and writes no pdf; also under another name."""
    import os

    return os.path.basename(os.path.realpath(program)).startswith(EXTRA)


def command(program: str, kind: str, options: Sequence[str] = ()) -> list[str]:
    """What to run: it reads DOT text from stdin and writes the picture to stdout."""
    import sys

    if program == LIBRARY:
        return [sys.executable, "-I", "-c", _CHILD, _folder_of_library(), kind, " ".join(options)]
    return [program, "-Kdot", f"-T{kind}", *options]


def _engines() -> Iterator[str]:
    """All engines that are there, the preferred one first."""
    for name in ("dot", EXTRA):
        if found := _which(name):
            yield found
    if _folder_of_library():
        yield LIBRARY


def _which(name: str) -> str | None:
    """A program on PATH or beside this Python: notebooks often run without the environment's own folder on PATH."""
    import os
    import shutil
    import sysconfig

    schemes = sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")
    beside = os.pathsep.join(sysconfig.get_path("scripts", scheme) for scheme in schemes)
    return shutil.which(name) or shutil.which(name, path=beside)


def _folder_of_library() -> str:
    """The folder that pygraphviz was installed into; "" where it is not, or so old that it has no layout of its own.

    It is not imported for that.
    """
    import sys
    from importlib import metadata

    try:
        found = metadata.distribution(LIBRARY)
        has_layout = int(found.version.partition(".")[0]) >= 2
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    return str(found.locate_file("")) if has_layout and sys.executable else ""
