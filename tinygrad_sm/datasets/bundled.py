"""Real data that comes with the package; SOURCES.md beside the files says whose it is."""

from __future__ import annotations

import os.path
from functools import cache
from itertools import chain

from tinygrad_sm import nd
from tinygrad_sm.datasets.dataset import Dataset

_LICENCE = "licence CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)"


def load_digits() -> Dataset:
    """Handwritten digits: X of shape (1797, 64), 8 x 8 pixels row by row from 0 (paper) to 16 (ink), and y from 0 to 9.

    The numbers are raw: divide by 16 for a network. Source: Alpaydin and Kaynak, UCI Machine Learning Repository (1998).

    >>> import tinygrad_sm as tg
    >>> X, y = tg.datasets.load_digits()
    >>> for row in tg.reshape(X[0], (8, 8)).tolist():
    ...     print("|" + "".join(" .:*#"[int(pixel) // 4] for pixel in row) + "|")
    |  .*:   |
    |  **:*. |
    |  *  :: |
    | .*  :: |
    | .:  :: |
    | .:  *. |
    |  *.:*  |
    |  .*:   |
    """
    return Dataset(
        *_read("digits.csv"),
        "E. Alpaydin, C. Kaynak (1998). Optical Recognition of Handwritten Digits (the test file, 1,797 images), "
        f"UCI Machine Learning Repository, https://doi.org/10.24432/C50P49; {_LICENCE}; a header was added",
    )


def load_iris() -> Dataset:
    """Three species of iris: X of shape (150, 4), length and width of sepals and petals in centimetres, and y from 0 to 2.

    The numbers are those of Fisher's paper, as in R; UCI's own file differs from it in two flowers. Source: Fisher (1936).

    >>> import tinygrad_sm as tg
    >>> tg.datasets.load_iris().feature_names
    ('sepal_length_cm', 'sepal_width_cm', 'petal_length_cm', 'petal_width_cm')
    """
    return Dataset(
        *_read("iris.csv"),
        "R. A. Fisher (1936). The use of multiple measurements in taxonomic problems, Annals of Eugenics 7(2), 179-188; "
        f"UCI Machine Learning Repository, https://doi.org/10.24432/C56C76; {_LICENCE}; with the two flowers (35 and 38) "
        "that UCI's file has wrong as in the paper, a header and the names of the species",
    )


@cache  # arrays never change, so that all may share them
def _read(name: str) -> tuple[nd.Array, nd.Array, tuple[str, ...], tuple[str, ...]]:
    """X, y, the names of the features and those of the classes, of a file of this folder with the class in its last column."""
    path = os.path.join(os.path.dirname(__file__), name)
    with open(path, encoding="utf-8") as file:
        header, *lines = file.read().splitlines()
    rows = [line.split(",") for line in lines]
    labels = [row.pop() for row in rows]
    names = sorted({*labels})
    numbers = nd.asarray([*map(float, chain.from_iterable(rows))])
    X = nd.reshape(numbers, (len(rows), -1))
    classes = {label: i for i, label in enumerate(names)}
    return X, nd.asarray([classes[label] for label in labels]), tuple(header.split(",")[:-1]), tuple(names)
