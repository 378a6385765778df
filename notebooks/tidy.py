"""Writes the notebooks in the one form in which they are kept: no outputs, no counts, cells numbered.

Run it as `python notebooks/tidy.py` after editing.
"""

import json
from pathlib import Path

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def tidied(text: str) -> str:
    """A notebook's text in that form."""
    cells = [cell for cell in json.loads(text)["cells"] if "".join(cell["source"]).strip()]
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    kept = {"cells": [_kept(cell, f"cell-{i:02}") for i, cell in enumerate(cells)], "metadata": metadata}
    return json.dumps(kept | {"nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False) + "\n"


def _kept(cell: dict, name: str) -> dict:
    lines = "".join(cell["source"]).strip().splitlines(keepends=True)
    kept = {"cell_type": cell["cell_type"], "id": name, "metadata": {}}
    return kept | ({"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {}) | {"source": lines}


if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("*.ipynb")):
        before = path.read_text(encoding="utf-8")
        if (after := tidied(before)) != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.name} is tidy now")
