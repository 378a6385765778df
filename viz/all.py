"""Draws the gallery afresh: python viz/all.py, or of it what has one of some words in its name: python viz/all.py 01 softmax.

A script leaves a `drawing`, a `player` or an `ax`, or several of them; each goes into pictures/ under the name of its script.
"""

import os
import sys
from pathlib import Path
from runpy import run_path

import tinygrad_sm as tg

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
SUFFIXES = {"drawing": (".dot", ".svg"), "player": (".html",), "ax": (".png",)}


def scripts(*words: str) -> list[Path]:
    """The scripts whose names have any of the words in them; all without words."""
    found = sorted(HERE.glob("[0-9]*.py"))
    return [path for path in found if not words or any(word in path.stem for word in words)]


def run(script: Path) -> dict:
    """What a script leaves, by name, run as in a program of its own."""
    tg.manual_seed(0)
    return run_path(str(script))


def save(script: Path) -> list[Path]:
    """Runs a script and writes what it leaves."""
    made = run(script)
    paths = []
    for kind, suffixes in SUFFIXES.items():
        for suffix in suffixes if kind in made else ():
            paths.append(PICTURES / f"{script.stem}{suffix}")
            if kind == "ax":
                made[kind].figure.savefig(paths[-1], dpi=120, metadata={"Software": None})
            else:
                made[kind].save(paths[-1])
    return paths


if __name__ == "__main__":
    os.environ["TINYGRAD_SM_DOT"] = "graphviz-pure"  # which lays out alike everywhere
    PICTURES.mkdir(exist_ok=True)
    for script in scripts(*sys.argv[1:]):
        print(script.name, *(f"-> {path.name}" for path in save(script)), flush=True)
