"""A person's own op or function by its name, `module:name`, found from the current folder."""

from __future__ import annotations

import importlib
import sys
import traceback
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any


def find(target: str) -> Any:
    """What `module:name` names; the module may be written as the path of its file, `folder/file.py:name`.

    Raises a ValueError that says which of the two is missing, or which line of the module failed.
    """
    place, _, name = target.partition(":")
    module_name = place.removesuffix(".py").replace("/", ".").replace("\\", ".").strip(".")
    if not module_name or not name:
        raise ValueError(f"{target!r} names nothing: write module:function, such as losses:my_loss for my_loss in losses.py")
    found: Any = _module(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            near = get_close_matches(part, [key for key in vars(found) if not key.startswith("_")]) if vars(found) else []
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise ValueError(f"{module_name} has no {part}{hint}")
        found = getattr(found, part)
    return found


def _module(name: str) -> ModuleType:
    """The module, looked for in the current folder first."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ValueError(f"there is no module {error.name}, neither in {here} nor among the installed ones") from None
        raise ValueError(f"{name} needs {error.name}, which is not installed") from None
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "importlib" not in frame.filename]
        line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else own[-1].lineno if own else None
        file = getattr(error, "filename", None) if isinstance(error, SyntaxError) else own[-1].filename if own else name
        raise ValueError(f"{name} cannot be imported: {type(error).__name__}: {error} ({file}, line {line})") from None
