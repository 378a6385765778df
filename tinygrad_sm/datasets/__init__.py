"""Data to learn from: two real sets inside the package, three made by formula, and a fair split into two parts."""

from tinygrad_sm.datasets.bundled import load_digits, load_iris
from tinygrad_sm.datasets.dataset import Dataset
from tinygrad_sm.datasets.splitting import train_test_split
from tinygrad_sm.datasets.synthetic import make_blobs, make_moons, make_spirals

__all__ = ["Dataset", "load_digits", "load_iris", "make_blobs", "make_moons", "make_spirals", "train_test_split"]
