"""From DOT text to a picture: which program lays it out, and how it is run.

The `dot` of the system comes first, since people expect their own; the extra `tinygrad_sm[dot]` brings one where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

FONT = "DejaVu Sans"  # the widest that every engine knows the metrics of, so that text fits in any font that replaces it
_FAMILIES = f"{FONT}, Verdana, Arial, Helvetica, sans-serif"
_VARIABLE = "TINYGRAD_SM_DOT"
_EXTRA = "graphviz-pure"  # the program of the extra
_INSTALL = "pip install 'tinygrad_sm[dot]', or install the Graphviz of your system"
_ENDS = {"svg": b"</svg>", "png": b"IEND\xaeB`\x82", "pdf": b"%%EOF"}


def find_engine(engine: str | os.PathLike[str] | None = None) -> str:
    """The path of the program that lays graphs out.

    `engine` (a path or a name on PATH), else the environment variable TINYGRAD_SM_DOT, else `dot`, else that of the extra
    `tinygrad_sm[dot]`. Raises a FileNotFoundError that says what to install.
    """
    import os

    if asked := engine or os.environ.get(_VARIABLE):
        if found := _which(os.fspath(asked)):
            return found
        source = "engine" if engine else f"the environment variable {_VARIABLE}"
        raise FileNotFoundError(f"draw: {source} names {os.fspath(asked)!r}, and there is no such program")
    if found := _which("dot") or _which(_EXTRA):
        return found
    raise FileNotFoundError(f"draw: a picture needs the program dot, and it was not found: {_INSTALL}")


def _which(name: str) -> str | None:
    """A program on PATH or beside this Python: notebooks often run without the environment's own folder on PATH."""
    import os
    import shutil
    import sysconfig

    schemes = sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")
    beside = os.pathsep.join(sysconfig.get_path("scripts", scheme) for scheme in schemes)
    return shutil.which(name) or shutil.which(name, path=beside)


def render(
    source: str,
    kind: str = "svg",
    *,
    engine: str | os.PathLike[str] | None = None,
    ids: Iterable[str] = (),
    timeout: float = 60.0,
) -> bytes:
    """The picture of DOT text as "svg", "png" or "pdf".

    Some versions of dot complain and yet draw everything, so what counts is the picture: it must be whole, with every node and
    edge of `ids` in it. Raises a FileNotFoundError when there is no program to draw with, and a RuntimeError that says what
    went wrong when it fails, or takes longer than `timeout` seconds.
    """
    import os
    import subprocess

    program = find_engine(engine)
    is_extra = os.path.basename(program).startswith(_EXTRA)
    if is_extra and kind == "pdf":
        raise RuntimeError(f"draw: {_EXTRA} writes svg and png; for pdf install the Graphviz of your system, or save as svg")
    command = [program, "-Kdot", f"-T{kind}"]
    if kind == "png":
        command += ["-Gdpi=192", "-Gsize=60,60"]  # sharp, and larger graphs shrink to 60 inches, as pixels cost memory
        if is_extra:
            source = source.replace(FONT, "Arial")  # the font that it has glyphs of
    try:
        done = subprocess.run(command, input=source.encode(), capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"draw: {program} took longer than {timeout:g} s; draw fewer nodes with max_nodes=") from None
    except OSError as error:
        raise RuntimeError(f"draw: {program} does not run: {error.strerror}") from None
    picture = done.stdout
    if not picture.rstrip().endswith(_ENDS[kind]) or (kind == "svg" and not _has_all(picture, ids)):
        problem = done.stderr.decode(errors="replace").strip().partition("\n")[0] or f"exit status {done.returncode}"
        raise RuntimeError(f"draw: {program} gave no whole {kind}: {problem}")
    if done.returncode and kind != "svg":
        render(source, "svg", engine=engine, ids=ids, timeout=timeout)  # raises when something is missing
    return (
        picture.replace(f'font-family="{FONT}"'.encode(), f'font-family="{_FAMILIES}"'.encode()) if kind == "svg" else picture
    )


def _has_all(svg: bytes, ids: Iterable[str]) -> bool:
    import re

    there = {*re.findall(r' id="([^"]*)"', svg.decode())}
    return there.issuperset(ids)
