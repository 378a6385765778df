"""A torn, forged or moving file of weights is refused in a sentence that names it, and the reference reader agrees."""

import os
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy as reference
from safetensors import SafetensorError

from tests.helpers.weight_files import assemble, described
from tinygrad_sm.nn import safetensors
from tinygrad_sm.nn.safetensors import SafetensorsError, load, read, write


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("weights") / "model.safetensors"


class Untouched:
    """A model to which nothing may be done."""

    def load_state_dict(self, state):
        raise AssertionError("a model was given the weights of a broken file")


VALID = assemble({"__metadata__": {"a": "b"}} | described(), b"\0\0\x80\x3f")
X, F8 = '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]', "F8_E4M3 F8_E5M2 F8_E8M0 F4 C64 f32 F65".split()
HOSTILE = [
    (b"", "a safetensors file has 8 bytes or more, and this one 0"),
    (b"\2\0\0\0\0\0\0", "a safetensors file has 8 bytes or more, and this one 7"),
    (assemble("", length=1), "it announces a header of 1 bytes and has 8 in all"),
    (assemble("{}", length=3), "it announces a header of 3 bytes and has 10 in all"),
    (b"\xff" * 8, "it announces a header of 18,446,744,073,709,551,615 bytes"),
    (VALID[:-20], "it announces a header of"),
    (b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "is it a safetensors file?"),
    (assemble(""), "its header does not begin with {"),
    (assemble(" {}"), "its header does not begin with {"),
    (assemble("\ufeff{}"), "its header does not begin with {"),
    (assemble("[]"), "its header does not begin with {"),
    (assemble(b'{"\xff":1}'), "its header is not UTF-8"),
    (assemble("{} x"), "its header is not JSON: Extra data"),
    (assemble("{}\0"), "its header is not JSON"),
    (assemble("{'x':1}"), "its header is not JSON"),
    (assemble('{"x":01}'), "its header is not JSON"),
    (assemble('{"a\nb":{}}'), "its header is not JSON"),
    (assemble('{"x":' * 100_000), "its header is nested too deep"),
    (assemble('{"x":' + "[" * 100_000), "its header is nested too deep"),
    (assemble('{"x":' + "[" * 100_000 + "]" * 100_000 + "}"), "its header is nested too deep"),
    *((assemble(f'{{"x":{c}}}'), f"its header has {c}, which is not JSON") for c in ("NaN", "Infinity", "-Infinity")),
    (assemble(f'{{"x":{"9" * 5000}}}'), "its header has a number of 5,000 digits"),
    (assemble(X + '},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"1234"), "its header has a name twice"),
    (assemble(X + ',"shape":[1]}}', b"1234"), "its header has a name twice"),
    (assemble('{"__metadata__":{"a":"b","a":"c"}}'), "its header has a name twice"),
    (assemble(X.replace("x", r"\ud800") + "}}", b"1234"), "its header has a name twice, or one that is no text"),
    *(
        (assemble('{"__metadata__":' + x + "}"), "its metadata are not texts by name")
        for x in ("null", "[]", "1", '"a"', '{"a":1}', '{"a":null}', '{"a":["b"]}', r'{"a":"\udc00"}')
    ),
    *((assemble('{"x":' + x + "}"), "'x' has no dtype, shape and data_offsets") for x in ("null", "1", "true", '"F32"', "[]")),
    (assemble({"x": ["F32", [1], [0, 4]]}, b"1234"), "'x' has no dtype, shape and data_offsets"),
    (assemble({"x": {}}), "'x' has dtype None, and what can be read is U64, I64, F64, F32"),
    *((assemble(described(x), b"1234"), f"'x' has dtype {x!r}, and what can be read is") for x in [*F8, 1, True, None, [], {}]),
    *(
        (assemble({"x": {"dtype": "F32", "shape": x, "data_offsets": [0, 4]}}, b"1234"), "which is no list of sizes")
        for x in (None, 1, "1", True, {}, {"0": 1}, [1.0], [True], [-1], ["1"], [None], [[1]])
    ),
    *(
        (assemble({"x": {"dtype": "F32", "shape": [1], "data_offsets": x}}, b"1234"), "which are not a start and a stop")
        for x in (None, 4, "04", {}, [], [0], [0, 4, 4], [0, 4.0], [False, 4], [-4, 0], [0, None], ["0", "4"])
    ),
    (assemble(X.replace("[1]", "[1e0]") + "}}", b"1234"), "which is no list of sizes"),
    (assemble(X.replace("[1]", f"[{10**30}]") + "}}", b"1234"), "its header has a number of 31 digits"),
    (assemble(X.replace("[1]", f"[{10**17},{10**17}]") + "}}", b"1234"), "'x' has 4 bytes, which is not what"),
    (assemble(described(shape=[10**17] * 100_000), b"1234"), "'x' has 4 bytes, which is not what"),
    (assemble(described(shape=(2,)), b"1234"), "'x' has 4 bytes, which is not what [2] of F32 takes"),
    (assemble(described(shape=(0,)), b"1234"), "'x' has 4 bytes, which is not what [0] of F32 takes"),
    (assemble(described("F64"), b"1234"), "'x' has 4 bytes, which is not what [1] of F64 takes"),
    (assemble(described(offsets=(4, 0)), b"1234"), "'x' has -4 bytes"),
    (assemble(described(shape=(0,), offsets=(4, 0)), b"1234"), "'x' has -4 bytes"),
    (assemble(described(offsets=(0, 10**17)), b"1234"), "'x' has 100,000,000,000,000,000 bytes, which is not"),
    (assemble(described(shape=(25 * 10**15,), offsets=(0, 10**17)), b"1234"), "its tensors take 100,000,000,000,000,000 bytes"),
    (assemble(described(), b"123"), "its tensors take 4 bytes, and 3 come after the header"),
    (assemble(described(), b"12345"), "its tensors take 4 bytes, and 5 come after the header"),
    (assemble("{}", b"1"), "its tensors take 0 bytes, and 1 come after the header"),
    (assemble(described(offsets=(1, 5)), b"12345"), "'x' starts at byte 1 of the data instead of 0: it leaves a gap"),
    (
        assemble(described() | {"y": described(offsets=(2, 6))["x"]}, b"123456"),
        "'y' starts at byte 2 of the data instead of 4: it overlaps the one before",
    ),
    (assemble(described() | {"y": described()["x"]}, b"1234"), "'y' starts at byte 0 of the data instead of 4: it overlaps"),
    (assemble(described() | {"y": described(offsets=(5, 9))["x"]}, b"123456789"), "'y' starts at byte 5 of the data instead"),
    (assemble(described("BOOL", (3,), (0, 3)), b"\0\1\2"), "'x' holds truth values that are neither 0 nor 1"),
    (assemble(described("U64", (1,), (0, 8)), b"\xff" * 8), "'x' holds 18446744073709551615, which is more than an int64 can"),
    (
        assemble(described("U64", (1,), (0, 8)), b"\0" * 7 + b"\x80"),
        "'x' holds 9223372036854775808, which is more than",
    ),
    (assemble({"n" * 10**6: {}}), "'nnnnnnnnnn"),
]


@pytest.mark.parametrize("case", range(len(HOSTILE)))
def test_a_torn_or_forged_file_is_refused_in_a_sentence(path, case):
    content, sentence = HOSTILE[case]
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(SafetensorsError) as caught:
            read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    told = str(caught.value)
    assert told.startswith(f"cannot read {str(path)!r}: ") and sentence in told and len(told) < len(str(path)) + 300
    assert isinstance(caught.value, ValueError) and caught.value.__suppress_context__
    assert peak < 10 * len(content) + 2_000_000
    with pytest.raises(SafetensorsError):
        load(path, Untouched())


@pytest.mark.parametrize(
    ("content", "arrays"),
    [
        (VALID, {"x": [1.0]}),
        (assemble(X + ',"note":{"a":[1.5,null]}}}', b"\0\0\x80\x3f"), {"x": [1.0]}),  # what is not known is not ours
        (assemble(described(shape=(), offsets=(0, 4)), b"\0\0\x80\x3f"), {"x": 1.0}),
        (assemble(described("U8", (2,), (2, 4)) | {"b": described("I8", (1, 2), (0, 2))["x"]}, b"\1\xff\1\xff"), None),
        (assemble({n: described("F64", (0, 5), (0, 0))["x"] for n in "ab"}), {"a": [], "b": []}),
        (assemble(described("U64", (1,), (0, 8)), b"\xff" * 7 + b"\x7f"), {"x": [2**63 - 1]}),
        (assemble('{"\\u6743\\ud83d\\ude00":' + X[5:] + "}}", b"\0\0\x80\x3f"), {"权😀": [1.0]}),
        (assemble({"": described()["x"]}, b"\0\0\x80\x3f"), {"": [1.0]}),
    ],
)
def test_an_unusual_file_is_a_file_all_the_same(path, content, arrays):
    path.write_bytes(content)
    assert {name: x.tolist() for name, x in read(path)[0].items()} == (arrays or {"b": [[1, -1]], "x": [1, 255]})


def test_a_thousand_damages_and_the_reference_agrees(path):
    """Whatever is cut, flipped or put in: what is read, the reference reads likewise; what it refuses, is refused."""
    rng = random.Random(7)
    tensors = {
        "layers.0.weight": np.float32([[1, 2], [3, 4]]),
        "b": np.arange(3),
        "mask": np.array([True]),
        "é": np.zeros((0, 2)),
    }
    whole = reference.save(tensors, {"epochs": "10", "by": "é"})
    header = 8 + int.from_bytes(whole[:8], "little")
    pieces = [
        b'"',
        b",",
        b"[",
        b"]",
        b"{",
        b"}",
        b":",
        b"0",
        b"-",
        b"9" * 40,
        b"1e9",
        b"null",
        b"true",
        b"\\ud800",
        b"\xff",
        b"F64",
    ]
    seen = {"read": 0, "refused": 0}
    for _ in range(2000):
        content = bytearray(whole)
        for _ in range(rng.choice([1, 1, 2, 4])):
            place = rng.randrange(rng.choice([8, header, header, len(whole)])) % (len(content) or 1)
            content = content or bytearray(1)
            match rng.randrange(5):
                case 0:
                    content[place] ^= 1 << rng.randrange(8)
                case 1:
                    content[place] = rng.choice(b'0123456789[]{}",:-')
                case 2:
                    content[place : place + rng.choice([1, 2, 8])] = b""
                case 3:
                    content[place:place] = rng.choice(pieces)
                case 4 if rng.randrange(8) == 0:
                    del content[place:]
        if rng.randrange(2):  # so that damage inside the header is looked at
            content[:8] = (max(len(content) - (len(whole) - header) - 8, 0)).to_bytes(8, "little")
        path.write_bytes(content)
        try:
            arrays, _ = read(path)
        except SafetensorsError:
            seen["refused"] += 1
            continue
        seen["read"] += 1
        theirs = reference.load(bytes(content))  # raises where we should have
        assert {*arrays} == {*theirs}
        for name, x in arrays.items():
            np.testing.assert_array_equal(np.asarray(x), theirs[name])
    assert min(seen.values()) > 100, seen


def test_the_reference_refuses_the_same_but_for_what_is_ambiguous_or_no_number_of_ours():
    assert {sentence for content, sentence in HOSTILE if accepts(content)} == {
        "its header does not begin with {",
        "its header has a name twice",
        "its metadata are not texts by name",
        "'x' has no dtype, shape and data_offsets",
        "'x' holds truth values that are neither 0 nor 1",
        "'x' holds 18446744073709551615, which is more than an int64 can",
        "'x' holds 9223372036854775808, which is more than",
    }


def accepts(content: bytes) -> bool:
    try:
        reference.load(content)
    except (SafetensorError, ValueError, KeyError, OverflowError, TypeError, AttributeError):
        return False
    return True


# --- files that are none, and files that move


def test_what_is_no_regular_file(path):
    folder = path.parent
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    cases = [
        (folder / "no", FileNotFoundError, "no such file or directory"),
        (folder, IsADirectoryError, "it is a folder"),
        (pipe, OSError, "it is not a regular file"),
        (Path("/dev/zero"), OSError, "it is not a regular file"),
    ]
    for place, kind, reason in cases:
        for function in (read, load):
            with pytest.raises(kind) as caught:
                function(place)
            assert str(caught.value) == f"cannot read {str(place)!r}: {reason}"
    pipe.unlink()
    for function in (read, load):
        with pytest.raises(TypeError, match=r"^cannot read: the path must be a str or an os.PathLike, not int$"):
            function(3)


@pytest.mark.parametrize("change", ["cut", "grow", "touch", "grow and hide it"])
@pytest.mark.parametrize("when", ["_parse", "_layout", "_array"])
def test_a_file_that_changes_while_it_is_read(path, monkeypatch, when, change):
    write(path, {"x": [1.0] * 10_000, "y": [2.0] * 10_000})
    step, there = getattr(safetensors, when), os.stat(path)

    def meddled(*arguments):
        if change != "touch":
            os.truncate(path, there.st_size + (-3 if change == "cut" else 3))
        if change != "cut":
            os.utime(path, ns=(0, 0 if change == "touch" else there.st_mtime_ns))
        return step(*arguments)

    monkeypatch.setattr(safetensors, when, meddled)
    with pytest.raises(SafetensorsError, match=f"it {'became shorter' if change == 'cut' else 'changed'} while it was read"):
        read(path)


def test_a_header_beyond_the_limit_of_the_format_is_not_read(path, monkeypatch):
    path.write_bytes(VALID)
    monkeypatch.setattr(safetensors, "_LONGEST_HEADER", len(VALID) - 12)
    assert read(path)[1] == {"a": "b"}
    monkeypatch.setattr(safetensors, "_LONGEST_HEADER", len(VALID) - 13)
    with pytest.raises(SafetensorsError, match="it announces a header of"):
        read(path)
