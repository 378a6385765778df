"""Weights on disk: what others write is read, others read what is written, and what cannot be is refused."""

import json
import math
import os
import pickle
import struct
import zipfile
from decimal import Decimal
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import safetensors.numpy as reference
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_sm as tg
from tests.helpers.weight_files import assemble, described
from tinygrad_sm import nd
from tinygrad_sm.nn import safetensors
from tinygrad_sm.nn.safetensors import load, read, save, write

NUMPY = "float64 float32 float16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool".split()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("weights") / "model.safetensors"


def bits(x: float) -> bytes:
    return struct.pack("<d", x)


# --- others read and write the same

DTYPES = st.sampled_from(NUMPY).map(np.dtype) | st.sampled_from([">f8", ">f4", ">i2"]).map(np.dtype)
ARRAYS = DTYPES.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__")


@given(st.dictionaries(NAMES, ARRAYS, max_size=5), st.dictionaries(NAMES, NAMES, min_size=1, max_size=1) | st.none())
@settings(max_examples=40, deadline=None)
def test_the_bytes_are_those_of_the_reference_writer(path, tensors, metadata):
    assert write(path, tensors, metadata) == path
    native = {name: np.ascontiguousarray(x.astype(x.dtype.newbyteorder("="))).reshape(x.shape) for name, x in tensors.items()}
    written = path.read_bytes()
    quiet = all(x.dtype.kind != "f" or not np.isnan(x).any() for x in tensors.values())
    if quiet:  # the bits of a narrow nan need not survive Python's floats
        assert written == reference.save(native, metadata)
    there = reference.load(written)
    assert {*there} == {*tensors}
    for name, x in native.items():
        assert there[name].dtype == x.dtype and there[name].shape == x.shape
        np.testing.assert_array_equal(there[name], x)


@given(st.dictionaries(NAMES, ARRAYS, max_size=5), st.dictionaries(NAMES, NAMES, min_size=1, max_size=3) | st.none())
@settings(max_examples=40, deadline=None)
def test_what_the_reference_writes_is_read(path, tensors, metadata):
    tensors = {name: np.ascontiguousarray(x.astype(x.dtype.newbyteorder("="))).reshape(x.shape) for name, x in tensors.items()}
    tensors = {name: np.asarray(x >> 1) if x.dtype == "uint64" else x for name, x in tensors.items()}
    path.write_bytes(reference.save(tensors, metadata))
    arrays, texts = read(path)
    assert texts == (metadata or {}) and {*arrays} == {*tensors}
    for name, x in tensors.items():
        dtype = {"f": nd.float64, "i": nd.int64, "u": nd.int64, "b": nd.bool}[x.dtype.kind]
        assert type(arrays[name]) is nd.Array and arrays[name].dtype is dtype and arrays[name].shape == x.shape
        np.testing.assert_array_equal(np.asarray(arrays[name]), x)
        assert {*map(type, arrays[name]._flat)} <= {type(x.dtype.type(0).item())}


@given(st.lists(st.integers(0, 2**64 - 1), max_size=6))
@settings(max_examples=40, deadline=None)
def test_every_double_survives_bit_for_bit(path, patterns):
    floats = [struct.unpack("<d", struct.pack("<Q", p))[0] for p in patterns]
    special = [math.nan, -math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, -2.2e-308, 1.7976931348623157e308]
    special.append(struct.unpack("<d", bytes.fromhex("efcdab896745f77f"))[0])  # a nan with a payload
    for numbers in (floats, special):
        write(path, {"x": nd.asarray(numbers, dtype=nd.float64)})
        assert [*map(bits, read(path)[0]["x"]._flat)] == [*map(bits, numbers)]


def test_a_tiny_file_byte_by_byte(path):
    text = (
        b'{"__metadata__":{"by":"\xc3\xa9"},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},'
        b'"w":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},'
        b'"\\n":{"dtype":"BOOL","shape":[1],"data_offsets":[16,17]}}       '
    )
    data = bytes.fromhex("feffffffffffffff" "0000803f000000c0" "01")  # fmt: skip
    golden = bytes.fromhex("c800000000000000") + text + data
    assert len(text) == 0xC8
    write(path, {"\n": [True], "w": np.array([[1, -2]], np.float32), "n": -2}, {"by": "é"})
    assert path.read_bytes() == golden
    arrays, metadata = read(path)
    assert {name: x.tolist() for name, x in arrays.items()} == {"n": -2, "w": [[1.0, -2.0]], "\n": [True]}
    assert metadata == {"by": "é"}


class BFloat16:
    """An array of bfloat16, as torch and jax have them."""

    def __init__(self, *numbers):
        self.numbers, self.shape, self.dtype = [*numbers], (len(numbers),), "torch.bfloat16"

    def tolist(self):
        return self.numbers


def test_bfloat16_is_the_upper_half_of_a_float32(path):
    patterns = {0x3FC0: 1.5, 0xC2F7: -123.5, 0x0001: 2.0**-133, 0x7F7F: 255 * 2.0**120, 0xFF80: -math.inf, 0x8000: -0.0}
    data = struct.pack("<6H", *patterns)
    path.write_bytes(assemble(described("BF16", (6,), (0, 12)), data))
    assert [*map(bits, read(path)[0]["x"]._flat)] == [*map(bits, patterns.values())]
    write(path, {"x": BFloat16(*patterns.values())})
    assert path.read_bytes()[-12:] == data and b'"BF16","shape":[6]' in path.read_bytes()
    path.write_bytes(assemble(described("BF16", (1,), (0, 2)), b"\xc0\x7f"))
    assert math.isnan(read(path)[0]["x"].item())


@pytest.mark.parametrize(
    ("given", "kind", "shape", "data"),
    [
        (0.5, "F64", [], bits(0.5)),
        (7, "I64", [], b"\7" + b"\0" * 7),
        (True, "BOOL", [], b"\1"),
        (nd.asarray([False, True]), "BOOL", [2], b"\0\1"),
        (nd.zeros((0, 3)), "F64", [0, 3], b""),
        ([[1], [2]], "I64", [2, 1], b"\1" + b"\0" * 7 + b"\2" + b"\0" * 7),
        ((1, 0.5), "F64", [2], bits(1) + bits(0.5)),
        (tg.Value(2.0), "F64", [], bits(2)),
        (tg.Value(np.float32([2, 3])), "F32", [2], struct.pack("<2f", 2, 3)),
        (tg.Value([1.0]) * 3, "F64", [1], bits(3)),
        (np.float32(0.1), "F32", [], struct.pack("<f", 0.1)),
        (np.arange(6, dtype=np.int8).reshape(2, 3).T, "I8", [3, 2], bytes([0, 3, 1, 4, 2, 5])),
        (np.array([258], ">u2"), "U16", [1], b"\2\1"),
        (np.array([2**64 - 1], np.uint64), "U64", [1], b"\xff" * 8),
        (np.array([65504], np.float16), "F16", [1], b"\xff\x7b"),
    ],
)
def test_each_kind_of_number_as_it_is_written(path, given, kind, shape, data):
    write(path, {"x": given})
    header = json.loads(path.read_bytes()[8 : -len(data) or None])
    assert header == {"x": {"dtype": kind, "shape": shape, "data_offsets": [0, len(data)]}}
    assert path.read_bytes().endswith(data)


def test_no_tensors_and_no_metadata(path):
    for metadata in (None, {}):
        write(path, {}, metadata)
        assert path.read_bytes() == assemble("{}      ") and read(path) == ({}, {})
    path.write_bytes(assemble("{}"))
    assert read(path) == ({}, {})


# --- what cannot be written


class Wide:
    """An array of numbers wider than a float: numpy's turn into themselves."""

    dtype = "float128"

    def tolist(self):
        return self


@pytest.mark.parametrize(
    ("tensors", "metadata", "kind", "sentence"),
    [
        ({"x": nd.exact([1])}, None, TypeError, "'x' is of decimal(50), which cannot be written; convert it first"),
        ({"x": Decimal(1)}, None, TypeError, "'x' is of decimal(50), which cannot be written"),
        ({"x": np.ones(1, complex)}, None, TypeError, "'x' is of complex128, which cannot be written"),
        ({"x": Wide()}, None, TypeError, "'x' is of float128, which cannot be written"),
        ({"x": np.array(["a"])}, None, TypeError, "'x' is of str32, which cannot be written"),
        ({"x": "a"}, None, TypeError, "'x': an array holds numbers, not 'a' (str)"),
        ({"x": {"y": 1}}, None, TypeError, "'x': an array holds numbers, not {'y': 1} (dict)"),
        ({"x": [[1], [1, 2]]}, None, ValueError, "'x': ragged lists"),
        ({"x": 2**63}, None, ValueError, "'x' holds an int beyond 64 bits"),
        ({"x": [-(2**63) - 1]}, None, ValueError, "'x' holds an int beyond 64 bits"),
        ({3: 1.0}, None, ValueError, "a tensor cannot have the name 3"),
        ({"__metadata__": 1.0}, None, ValueError, "a tensor cannot have the name '__metadata__'"),
        ({"\ud800": 1.0}, None, ValueError, r"a tensor cannot have the name '\ud800'"),
        ([1.0], None, TypeError, "needs a model with state_dict, or arrays by name, not list"),
        (None, None, TypeError, "needs a model with state_dict, or arrays by name, not NoneType"),
        ({}, {"epochs": 10}, TypeError, "metadata must be texts by name, such as {'epochs': '10'}"),
        ({}, {1: "a"}, TypeError, "metadata must be texts by name"),
        ({}, {"a": "\udcff"}, TypeError, "metadata must be texts by name"),
        ({}, ["a"], TypeError, "metadata must be texts by name"),
        ({}, 0, TypeError, "metadata must be texts by name"),
        ({"x" * 50_000: 1.0, "y" * 50_000: 1.0}, None, ValueError, "the names and metadata take 100,104 bytes, and the format"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_and_the_old_file_stays(path, monkeypatch, tensors, metadata, kind, sentence):
    monkeypatch.setattr(safetensors, "_LONGEST_HEADER", 100_000)
    path.write_bytes(b"old")
    for function in (lambda: write(path, tensors, metadata), lambda: save(tensors, path, metadata)):
        with pytest.raises(kind) as caught:
            function()
        assert str(caught.value).startswith(f"cannot write {str(path)!r}: {sentence}") and type(caught.value) is kind
    assert path.read_bytes() == b"old" and os.listdir(path.parent) == [path.name]


# --- models


class Model:
    """The least that counts as a model."""

    def __init__(self, error=None, **weights):
        self.weights, self.error, self.state = weights, error, None

    def state_dict(self):
        return self.weights

    def load_state_dict(self, state):
        if self.error:
            raise self.error
        self.state = state


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_a_model_is_saved_and_loaded_in_either_order(path, kind):
    assert save(Model(w=tg.Value([1.0, 2.0]), b=0.5), kind(str(path)), metadata={"a": "b"}) == path
    assert read(path)[1] == {"a": "b"}
    assert {name: x.tolist() for name, x in load(kind(str(path))).items()} == {"w": [1.0, 2.0], "b": 0.5}
    for order in (1, -1):
        model = Model()
        assert load(*[kind(str(path)), model][::order]) is model
        assert {name: x.tolist() for name, x in model.state.items()} == {"w": [1.0, 2.0], "b": 0.5}


@pytest.mark.parametrize("error", [ValueError("load_state_dict: 'w' has shape"), KeyError("w"), TypeError("what")])
def test_what_the_model_says_comes_with_the_name_of_the_file(path, error):
    save({}, path)
    with pytest.raises(type(error)) as caught:
        load(path, Model(error))
    text = str(error).removeprefix("load_state_dict: ")
    assert caught.value.args == (f"cannot load {str(path)!r} into Model: {text}",)


@pytest.mark.parametrize("wrong", [3, {"w": 1.0}, "model"])
def test_a_model_that_is_none(path, wrong):
    with pytest.raises(TypeError, match=rf"^load: needs a model with load_state_dict, not {type(wrong).__name__}$"):
        load(path, wrong)


def test_networks(path):
    tg.manual_seed(3)
    one, other = tg.nn.MLP([3, 4, 2]), tg.nn.MLP([3, 4, 2])
    x = [[0.1, -0.2, 0.3]]
    assert one(x).tolist() != other(x).tolist()
    save(one, path)
    assert load(path, other) is other and other(x).tolist() == one(x).tolist()
    assert {name: x.shape for name, x in reference.load(path.read_bytes()).items()} == {
        name: x.shape for name, x in one.state_dict().items()
    }

    before = {name: x.tolist() for name, x in one.state_dict().items()}
    for sizes, kind in (([3, 5, 2], ValueError), ([3, 4, 2, 2], KeyError), ([3, 2], Exception)):
        save(tg.nn.MLP(sizes), path)
        with pytest.raises(kind) as caught:
            load(one, path)
        assert str(caught.value).startswith(f"cannot load {str(path)!r} into MLP: ") and "layers." in str(caught.value)
        assert {name: x.tolist() for name, x in one.state_dict().items()} == before


@pytest.mark.parametrize("form", ["tinygrad-sm train 1", "tinygrad-sm train 2", "pt"])
def test_the_network_of_a_classifier_is_not_loaded_without_its_scales(path, form):
    from tinygrad_sm.cli.classifier import FORMAT, Classifier

    network, model = tg.nn.MLP([1, 2]), tg.nn.MLP([1, 2])
    trained = Classifier(["length"], True, "kind", ["a", "b"], [5.8], [0.8], network)
    trained.save(path)
    assert read(path)[1]["format"] == FORMAT == "tinygrad-sm train 1"
    save(network, path, {**trained.metadata(), "format": form})
    assert load(path).keys() == network.state_dict().keys()
    for order in (1, -1):
        if form == "pt":  # what Hugging Face's files say
            assert load(*[path, model][::order]) is model and model([[1.0]]).tolist() == network([[1.0]]).tolist()
            continue
        before = model.state_dict()
        with pytest.raises(ValueError, match="standardised") as caught:
            load(*[path, model][::order])
        assert str(caught.value) == (
            f"cannot load {str(path)!r} into MLP: written by `tinygrad-sm train`: its network takes standardised columns; "
            "tinygrad_sm.cli.classifier.Classifier.load(path) gives it with its means and scales"
        )
        assert all(model.state_dict()[name] is x for name, x in before.items())


def zipped(file, entries):
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


OTHERS = {
    "zip": lambda file: zipped(file, {"archive/data.pkl": b"x"}),
    "empty zip": lambda file: zipped(file, {}),
    "npz": lambda file: np.savez(file, w=np.zeros(3)),
    "npy": lambda file: np.save(file, np.zeros(3)),
    **{f"pickle {i}": lambda file, i=i: file.write(pickle.dumps({"w": [0.5] * 9}, i)) for i in range(2, 6)},
    **{f"tiny pickle {i}": lambda file, i=i: file.write(pickle.dumps({}, i)) for i in range(2, 6)},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_other_libraries_wrote_is_named(path, kind):
    with open(path, "wb") as file:
        OTHERS[kind](file)
    what = {"npz": "a zip file", "npy": "an array of NumPy"}.get(kind, "a zip file" if "zip" in kind else "a pickle")
    with pytest.raises(safetensors.SafetensorsError) as caught:
        read(path)
    told = str(caught.value)
    assert told.startswith(f"cannot read {str(path)!r}: it is {what}") and told.endswith("save it with safetensors")


@pytest.mark.parametrize("length", [0x80, 0x4B50, 0x280])
def test_a_file_whose_length_begins_like_another_format(path, length):
    """Headers of 128 and 19,280 bytes begin as pickles and zip files do: such a file is read, and called torn when it is."""
    text = json.dumps(described()).ljust(length)
    path.write_bytes(assemble(text, b"\0\0\x80\x3f"))
    assert path.read_bytes()[:1] in (b"\x80", b"P") and read(path)[0]["x"].tolist() == [1.0]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(safetensors.SafetensorsError, match=f"it announces a header of {length:,} bytes and has 100 in all"):
        read(path)


def test_a_network_on_numpy_keeps_its_library_and_its_type(path):
    model = tg.nn.Linear(2, 3).to(np)
    for p in model.parameters():
        p.data = p.data.astype(np.float32)
    save(model, path)
    assert b'"F32"' in path.read_bytes() and b'"F64"' not in path.read_bytes()
    before = {name: x.copy() for name, x in model.state_dict().items()}
    for p in model.parameters():
        p.data = p.data * 0
    load(path, model)
    for name, x in model.state_dict().items():
        assert type(x) is np.ndarray and x.dtype == np.float32
        np.testing.assert_array_equal(x, before[name])


@pytest.mark.heavy
def test_torch_reads_what_is_written_of_torch_and_of_ours(path):
    import torch
    from safetensors.torch import load as torch_load
    from safetensors.torch import save as torch_save

    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(3, 4, generator=generator, dtype=torch.float64) * 100
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int16, torch.uint8, torch.bool]
    tensors = {str(kind): numbers.abs().to(kind) for kind in kinds} | {"t": numbers.T, "s": numbers[0, 0], "e": numbers[:0]}
    tensors = {name: x.clone(memory_format=torch.contiguous_format) for name, x in tensors.items()}
    write(path, tensors | {"p": torch.nn.Parameter(numbers)})
    assert path.read_bytes() == torch_save(tensors | {"p": numbers})
    there = torch_load(path.read_bytes())
    for name, x in tensors.items():
        assert there[name].dtype == x.dtype and torch.equal(there[name], x)
    for name, x in read(path)[0].items():
        assert x.tolist() == there[name].tolist() and x.shape == there[name].shape
    network = torch.nn.Linear(2, 3)
    save(network, path)
    assert all(torch.equal(torch_load(path.read_bytes())[name], x) for name, x in network.state_dict().items())
    for new in (True, False):
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=new)
        with pytest.raises(safetensors.SafetensorsError, match=r"checkpoint of PyTorch.*; load it .*save it with safetensors$"):
            read(path)
    with pytest.raises(TypeError, match="'x' is of float8_e4m3fn, which cannot be written"):
        write(path, {"x": torch.ones(2).to(torch.float8_e4m3fn)})
