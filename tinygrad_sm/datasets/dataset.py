"""What every data set is: the pair (X, y), which also knows the names in it and where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_sm import nd

SHOWN = 10  # classes named in full by the repr


class Dataset(tuple):
    """The pair (X, y): features of shape (samples, ...) as floats, and the class of each sample as an int.

    It unpacks, indexes and compares as the tuple (X, y), and besides has `X`, `y`, `feature_names` (of the columns),
    `target_names` (of the classes 0, 1, ...) and `source` (origin, licence and citation).

    >>> import tinygrad_sm as tg
    >>> iris = tg.datasets.load_iris()
    >>> iris
    Dataset(X of shape (150, 4), y of shape (150,), 3 classes: setosa, versicolor, virginica)
    >>> X, y = iris
    >>> X[0], iris.target_names[int(y[0])]
    (array([5.1, 3.5, 1.4, 0.2]), 'setosa')
    """

    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    source: str

    def __new__(
        cls, X: nd.Array, y: nd.Array, feature_names: Sequence[str] = (), target_names: Sequence[str] = (), source: str = ""
    ) -> Dataset:
        pair = super().__new__(cls, (X, y))
        pair.feature_names, pair.target_names, pair.source = tuple(feature_names), tuple(target_names), source
        return pair

    @property
    def X(self) -> nd.Array:
        """The features, one row a sample."""
        return self[0]

    @property
    def y(self) -> nd.Array:
        """The class of each sample, an index into `target_names`."""
        return self[1]

    def __getnewargs__(self) -> Any:  # copies and pickles go through __new__
        return self.X, self.y

    def __repr__(self) -> str:
        names, n = self.target_names, len(self.target_names)
        shown = names if n <= SHOWN else (*names[:3], "...", names[-1])
        return f"Dataset(X of shape {self.X.shape}, y of shape {self.y.shape}, {n} classes: {', '.join(shown)})"
