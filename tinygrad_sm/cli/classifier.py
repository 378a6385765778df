"""A trained classifier of the rows of a table, in one file: the network, and what it must know of the table it learnt from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

import tinygrad_sm as tg
from tinygrad_sm.cli.cells import TableError
from tinygrad_sm.cli.table import Table, apply
from tinygrad_sm.nn import safetensors
from tinygrad_sm.nn.layers import ACTIVATIONS

FORMAT = "tinygrad-sm train 1"


class ClassifierError(ValueError):
    """A file that holds no classifier of ours, in a sentence."""


@dataclass
class Classifier:
    """A network and the table that it learnt from: `columns` are the features, `means` and `scales` what standardises them.

    `has_header` says whether the table named its columns, `target` is the column of the classes, and
    `ignored` are the columns that were left out.

    >>> import os, tempfile
    >>> network = tg.nn.MLP([2, 4, 2], activation="tanh")
    >>> trained = Classifier(["length", "width"], True, "species", ["setosa", "virginica"], [5.8, 3.1], [0.8, 0.4], network)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     loaded = Classifier.load(trained.save(os.path.join(folder, "flowers.safetensors")))
    >>> loaded.metadata() == trained.metadata()
    True
    """

    columns: list[str]
    has_header: bool
    target: str
    classes: list[str]
    means: list[float]
    scales: list[float]
    network: tg.nn.MLP
    ignored: list[str] = field(default_factory=list)

    def standardised(self, table: Table) -> list[list[float]]:
        """The rows of a table with the same columns, as the network takes them.

        Raises a TableError for a number so far from those of the training that floats cannot say how far.
        """
        rows = apply(table.X, self.means, self.scales)
        for i, row in enumerate(rows):
            if not all(map(isfinite, row)):
                j = [*map(isfinite, row)].index(False)
                raise TableError(
                    f"{table.path}: line {table.row_numbers[i]}, column {self.columns[j]!r}: {table.X[i][j]:g} is too far from "
                    f"the numbers to learn from, whose mean is {self.means[j]:g} and standard deviation {self.scales[j]:g}"
                )
        return rows

    def guesses(self, rows: list[list[float]]) -> list[tuple[int, float]]:
        """The number of the most likely class, and its probability, for each of some standardised rows.

        Raises a FloatingPointError where the weights are so large that there is none.
        """
        found = tg.softmax(tg.predict(self.network, rows, outputs=True)).tolist()
        for i, row in enumerate(found, 1):
            if not all(map(isfinite, row)):
                raise FloatingPointError(f"the weights of the network are so large that row {i} has no probabilities")
        return [(row.index(max(row)), max(row)) for row in found]

    # --- on disk

    def metadata(self) -> dict[str, str]:
        """All but the weights, as texts by name: what the file says about itself."""
        return {
            "format": FORMAT,
            "library_version": tg.__version__,
            "target": self.target,
            "activation": str(self.network.activation),
            "has_header": json.dumps(self.has_header),
            **{key: json.dumps(getattr(self, key), ensure_ascii=False) for key in _LISTS if key != "sizes"},
            "sizes": json.dumps(self.network.sizes),
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a safetensors file, whole or not at all, and return the path."""
        return safetensors.save(self.network, path, self.metadata())

    @classmethod
    def load(cls, path: str | os.PathLike[str], xp: Any = tg.nd) -> Classifier:
        """The classifier in a file that `save` wrote, its network on the arrays of `xp`.

        Nothing in the file is trusted. Raises a ClassifierError, a SafetensorsError or an OSError, each in a sentence.
        """
        tensors, metadata = safetensors.read(path)
        try:
            told = _checked(metadata)
            _check_weights(tensors, told["sizes"])
        except ClassifierError as error:
            raise ClassifierError(f"cannot predict with {os.fspath(path)!r}: {error}") from None
        network = tg.nn.MLP(told.pop("sizes"), told.pop("activation")).load_state_dict(tensors).to(xp)
        return cls(network=network, **told)


# --- what a file may say about itself


def _is_number(x: Any) -> bool:
    return type(x) is float and isfinite(x)


def _is_scale(x: Any) -> bool:
    return _is_number(x) and x > 0


def _is_size(x: Any) -> bool:
    return type(x) is int and x > 0


_LISTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "columns": (safetensors.is_text, "the names of the columns"),
    "ignored": (safetensors.is_text, "the names of columns"),
    "classes": (safetensors.is_text, "the names of the classes"),
    "means": (_is_number, "numbers"),
    "scales": (_is_scale, "numbers above 0"),
    "sizes": (_is_size, "the widths of a network"),
}


def _checked(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The entries of the metadata as what they stand for, when all of it fits together."""
    form = metadata.get("format", "")
    if form != FORMAT:
        if form.startswith(FORMAT.rstrip("1")):
            raise ClassifierError(f"it is of the format {form[:40]!r}, and this version of tinygrad-sm reads {FORMAT!r}")
        raise ClassifierError("it was not written by `tinygrad-sm train`")
    metadata = {"ignored": "[]", **metadata}  # files from before there was --ignore
    lacking = {"target", "activation", "has_header", *_LISTS} - {*metadata}
    if lacking:
        raise ClassifierError(f"its metadata lack {', '.join(sorted(lacking))}")

    told: dict[str, Any] = {"target": metadata["target"], "activation": metadata["activation"]}
    if told["activation"] not in ACTIVATIONS:
        raise ClassifierError(f"its activation is {told['activation'][:40]!r}, and there are {', '.join(ACTIVATIONS)}")
    if metadata["has_header"] not in ("true", "false"):
        raise ClassifierError("its has_header is neither true nor false")
    told["has_header"] = metadata["has_header"] == "true"
    for key, (fits, what) in _LISTS.items():
        try:
            entries = json.loads(metadata[key])
        except (ValueError, RecursionError):  # no JSON, an int of thousands of digits, or lists in lists in lists
            entries = None
        if not (isinstance(entries, list) and all(map(fits, entries))):
            raise ClassifierError(f"its {key} are no list of {what}")
        told[key] = entries

    columns, classes, sizes = told["columns"], told["classes"], told["sizes"]
    for key in ("columns", "classes"):
        if len({*told[key]}) < len(told[key]):
            raise ClassifierError(f"its {key} have a name twice")
    if not columns or len(classes) < 2:
        raise ClassifierError(f"it has {len(columns)} columns and {len(classes)} classes")
    if not len(columns) == len(told["means"]) == len(told["scales"]):
        counts = f"{len(columns)} columns, {len(told['means'])} means and {len(told['scales'])} scales"
        raise ClassifierError(f"it has {counts}, which should be as many")
    if len(sizes) < 2 or sizes[0] != len(columns) or sizes[-1] != len(classes):
        raise ClassifierError(f"its network does not lead from {len(columns)} columns to {len(classes)} classes")
    return told


def _check_weights(tensors: Mapping[str, Any], sizes: list[int]) -> None:
    """Holds the arrays in the file against the widths before a network of these widths, which may be huge, is made."""
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (n, m) in enumerate(pairwise(sizes)):
        shapes |= {f"layers.{i}.weight": (m, n), f"layers.{i}.bias": (m,)}
    if {name: x.shape for name, x in tensors.items()} != shapes:
        raise ClassifierError("its weights are not those of a network of the widths that it says")
    for name, x in tensors.items():
        if x.dtype != tg.nd.float64 or not bool(tg.nd.all(tg.nd.isfinite(x))):
            raise ClassifierError(f"the weights {name} are not finite floats")
