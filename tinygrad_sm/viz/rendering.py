"""From DOT text to a picture that is whole: running the program that lays graphs out, and looking at what it gave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tinygrad_sm.viz.engines import EXTRA, asked_for, command, engines_after, find_engine, is_extra

if TYPE_CHECKING:
    import os
    import subprocess

FONT = "DejaVu Sans"  # the widest that every engine knows the metrics of, so that text fits in any font that replaces it
_FAMILIES = f"{FONT}, Verdana, Arial, Helvetica, sans-serif"
_ENDS = {"png": b"IEND\xaeB`\x82", "pdf": b"%%EOF"}
_TRIES = ((), ("-Gnewrank=true", "-Gsplines=line"))  # what is lost in ranking clusters or routing curves, the second brings
_MOST_PIXELS, _LONGEST_SIDE = 25e6, 16_000  # of a png: 100 MB when opened, and what viewers can show


def render(
    source: str,
    kind: str = "svg",
    *,
    engine: str | os.PathLike[str] | None = None,
    ids: Iterable[str] = (),
    timeout: float = 60.0,
    dpi: float = 192.0,
) -> bytes:
    """The picture of DOT text as "svg", "png" or "pdf".

    Some versions of dot complain and yet draw everything, so what counts is the picture: it must be whole, with every node and
    edge of `ids` in it. If it is not, the engine tries once more with straight edges. Unless it was asked for by name, the
    engines after it try, too, also when it takes more than half of the time that is left. A png has `dpi` pixels an inch, fewer
    where it would become larger than a viewer can show; the extra has glyphs for Latin, Greek, Cyrillic and Hebrew only, and
    draws boxes for others in a png (never in an svg).

    Raises a FileNotFoundError when there is no program to draw with, a ValueError for a `dpi` that is not positive, and a
    RuntimeError that says what went wrong when the first program fails, or all of it takes longer than `timeout` seconds.
    """
    import subprocess
    import time

    try:
        is_dpi = 0.0 < dpi < float("inf")
    except TypeError:
        is_dpi = False
    if not is_dpi:
        raise ValueError(f"draw: dpi is a positive number, the pixels of an inch, not {dpi!r}")
    first = find_engine(engine)
    programs = [first] if asked_for(engine) is not None else [first, *engines_after(first)]
    wanted, deadline = frozenset(ids), time.monotonic() + timeout
    problems = []
    for left, program in zip(range(len(programs) - 1, -1, -1), programs, strict=True):
        share = (deadline - time.monotonic()) / (2.0 if left else 1.0)  # one that takes long leaves time for the next
        try:
            return _picture(program, source, kind, wanted, dpi, time.monotonic() + share)
        except RuntimeError as error:
            problems.append(error)
        except subprocess.TimeoutExpired:
            problems.append(RuntimeError(f"draw: {program} took longer than {share:.3g} s; draw fewer nodes with max_nodes="))
    raise problems[0]


def _picture(program: str, source: str, kind: str, ids: frozenset[str], dpi: float, deadline: float) -> bytes:
    """The picture by one engine. Raises a RuntimeError that says what went wrong, or a TimeoutExpired."""
    if is_extra(program) and kind == "pdf":
        raise RuntimeError(f"draw: {EXTRA} writes svg and png; for pdf install the Graphviz of your system, or save as svg")
    if is_extra(program) and kind == "png":
        source = source.replace(FONT, "Arial")  # the font that it has glyphs of
    for options in _TRIES:  # always as svg first, which can be looked into, and tells the size
        svg, trouble = _run(program, "svg", options, source, deadline)
        size, lack = _inspect(svg, ids)
        if not lack:
            break
    else:
        raise RuntimeError(f"draw: {program} gave no whole {kind}, not with straight edges either: {trouble or lack}")
    if kind == "svg":
        return svg.replace(f'font-family="{FONT}"'.encode(), f'font-family="{_FAMILIES}"'.encode())
    if kind == "png":
        options = (*options, f"-Gdpi={_affordable(dpi, *size):.6g}")
    picture, trouble = _run(program, kind, options, source, deadline)
    if not picture.rstrip().endswith(_ENDS[kind]):
        raise RuntimeError(f"draw: {program} gave no whole {kind}: {trouble or 'it breaks off'}")
    return picture


def _run(program: str, kind: str, options: Sequence[str], source: str, deadline: float) -> tuple[bytes, str]:
    """What an engine wrote, and the trouble that it told of."""
    import subprocess
    import time

    try:
        with subprocess.Popen(
            command(program, kind, options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # to be ended with its children: dot is often a script that starts the real one
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        ) as process:
            try:
                picture, errors = process.communicate(source.encode(errors="replace"), max(deadline - time.monotonic(), 0.0))
            except BaseException:
                _end(process)
                raise
    except subprocess.TimeoutExpired as late:
        late.cmd = program
        raise
    except OSError as error:
        raise RuntimeError(f"draw: {program} does not run: {error.strerror}") from None
    return picture, _trouble(errors.decode(errors="replace"), process.returncode)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and what it has started, which would otherwise go on and hold the pipes open."""
    import os
    import signal
    import subprocess
    import sys
    from contextlib import suppress

    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _trouble(errors: str, status: int) -> str:
    """The line that tells most of what a program complained of, else how it ended; "" when all is well."""
    import signal

    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    known = {-number.value: f"it was ended by {number.name}" for number in signal.Signals}
    ending = known.get(status, f"exit status {status}") if status else ""
    serious = [line for line in lines if "warning" not in line.lower()]
    telling = [line for line in serious if "error" in line.lower()]
    return (telling or serious or [": ".join(filter(None, [ending, *lines[:1]]))])[0]


def _inspect(svg: bytes, ids: frozenset[str]) -> tuple[tuple[float, float], str]:
    """Width and height of an SVG in points, and what it lacks: "" when it is whole."""
    from xml.parsers import expat

    there: set[str | None] = set()
    root: list[tuple[str, dict[str, str]]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        there.add(attributes.get("id"))
        if not root:
            root.append((name, attributes))

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    try:
        parser.Parse(svg, True)
    except expat.ExpatError as error:
        return (0.0, 0.0), f"it breaks off: {error}" if svg else "it is empty"
    [(name, attributes)] = root
    size = _points(attributes.get("width", "")), _points(attributes.get("height", ""))
    if name != "svg":
        return size, f"it is {name}"
    missing = sorted(ids - there)
    lack = f"{missing[0]} is missing" + (f", and {len(missing) - 1} more" if len(missing) > 1 else "") if missing else ""
    return size, lack


def _points(length: str) -> float:
    number = length.removesuffix("pt")
    return float(number) if number.replace(".", "", 1).isdigit() else 0.0


def _affordable(dpi: float, width: float, height: float) -> float:
    """Of a picture of so many points, the pixels of an inch: as asked, or as many as fit into the largest png."""
    by_area = (_MOST_PIXELS / max(width * height, 1.0)) ** 0.5
    by_side = _LONGEST_SIDE / max(width, height, 1.0)
    return min(dpi, 72.0 * by_area, 72.0 * by_side)
