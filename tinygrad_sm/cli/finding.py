"""A person's own op or function by its name, `module:name`, found from the current folder."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import tinygrad_sm

OURS, STANDARD = str(Path(tinygrad_sm.__file__).parent), str(Path(traceback.__file__).parent)


def find(target: str) -> Any:
    """What `module:name` names; the module may be written as the path of its file, `folder/file.py:name`.

    A file of the current folder comes before an installed module of that name. Raises a ValueError that says which of the two
    is missing, or which line of the module failed.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise ValueError(f"{target!r} names nothing: write module:function, such as losses:my_loss for my_loss in losses.py")
    found: Any = _module(place)
    for part in name.split("."):
        if not hasattr(found, part):
            near = get_close_matches(part, [key for key in dir(found) if not key.startswith("_")])
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise ValueError(f"{place} has no {part}{hint}")
        found = getattr(found, part)
    return found


def blame(error: BaseException) -> str:
    """The kind and the text of an error in one line, and the line of the person's own code that it came from.

    >>> blame(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    text = " ".join(f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}".split()).rstrip(": ")
    if isinstance(error, SyntaxError):
        return f"{text} ({error.filename}, line {error.lineno})"
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    frames = [frame for frame in traceback.extract_tb(first.__traceback__) if _is_own(frame.filename)]
    return f"{text} ({frames[-1].filename}, line {frames[-1].lineno})" if frames else text


def _is_own(filename: str) -> bool:
    return not filename.startswith((OURS, STANDARD, "<"))


def _module(place: str) -> ModuleType:
    """The module of a file of the current folder, or an installed one."""
    path = Path(place if place.endswith(".py") else place.replace(".", "/") + ".py").resolve()
    if path.is_file():
        parts, root = [path.stem], path.parent
        while (root / "__init__.py").is_file():  # a module of a package may import from its own package
            parts, root = [root.name, *parts], root.parent
        with _said(place):
            return _of_package(".".join(parts), root) if parts[1:] else _of_file(path)
    if place.endswith(".py") or "/" in place or "\\" in place:
        raise ValueError(f"there is no file {place}, seen from {Path.cwd()}")
    with _said(place):
        return _of_package(place, Path.cwd())


def _of_file(path: Path) -> ModuleType:
    """A file by itself, under a name of its own if there is another module of that name, which others may want."""
    for folder in map(str, dict.fromkeys((path.parent, Path.cwd()))):  # whatever it imports from there comes after the rest
        if folder not in sys.path:
            sys.path.append(folder)
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    spec = find_spec(name) if known is None and name.isidentifier() else None
    if known is not None or (spec and spec.origin != str(path)):
        name = f"{name} in {path.parent}"
    made = spec_from_loader(name, SourceFileLoader(name, str(path)))
    assert made is not None and made.loader is not None
    module = sys.modules[name] = module_from_spec(made)
    try:
        made.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _of_package(name: str, root: Path) -> ModuleType:
    """A module by its dotted name, first looked for in the folder."""
    sys.path.insert(0, str(root))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(root))
        sys.path.append(str(root))  # for what it imports later


@contextmanager
def _said(place: str) -> Iterator[None]:
    """Inside, a module that fails is a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            here = f"neither in {Path.cwd()} nor among the installed ones"
            raise ValueError(f"there is no module {error.name}, {here}") from None
        raise ValueError(f"{place} needs {error.name}, which is not installed") from None
    except (Exception, SystemExit) as error:
        raise ValueError(f"{place} cannot be imported: {blame(error)}") from None
