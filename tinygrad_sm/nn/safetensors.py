"""Weights on disk in the safetensors format: names, shapes and raw numbers that other libraries read too and nothing can run.

A file is the length of the header (8 bytes), the header (JSON), and the numbers of each tensor in turn, all little-endian.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from reprlib import Repr
from typing import TYPE_CHECKING, Any

from tinygrad_sm import nd
from tinygrad_sm.graph.value import plain
from tinygrad_sm.nd.array import make
from tinygrad_sm.nd.shapes import Shape

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO, TypeGuard

# The dtypes of the format that Python can hold, in the order in which the reference writer puts them, what array libraries call
# them, and their codes in `struct`, which has none for bfloat16 but knows what takes two bytes.
_DTYPES = """
U64 uint64 Q, I64 int64 q, F64 float64 d, F32 float32 f, U32 uint32 I, I32 int32 i,
BF16 bfloat16 2s, F16 float16 e, U16 uint16 H, I16 int16 h, I8 int8 b, U8 uint8 B, BOOL bool ?
"""
_TABLE = [row.split() for row in _DTYPES.split(",")]
_KINDS = {name: kind for kind, name, _ in _TABLE}
_CODES = {kind: code for kind, _, code in _TABLE}
_SIZES = {kind: struct.calcsize(f"<{code}") for kind, code in _CODES.items()}
_RANKS = {kind: rank for rank, kind in enumerate(_CODES)}
_LONGEST_HEADER = 100_000_000
_OTHERS = {  # what others write weights to, by its first bytes
    b"PK": "a zip file, such as a checkpoint of PyTorch or an .npz of NumPy",
    b"\x80": "a pickle, such as an old checkpoint of PyTorch",
    b"\x93NUMPY": "an array of NumPy",
}

_short = Repr()  # a hostile header may hold anything, of any length
_short.maxstring = _short.maxother = 100


class SafetensorsError(ValueError):
    """A file that is torn, or is no safetensors file, or holds numbers that Python has no type for. It says which and where."""


def save(model: Any, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> Path:
    """Write the weights of a model, or arrays and Values by name, to a safetensors file, and return its path.

    `model` is anything with `state_dict()`, or a mapping. `metadata` are texts by name. The file is written whole or not at
    all. Raises what `write` raises.

    >>> import os, tempfile
    >>> import tinygrad_sm as tg
    >>> from tinygrad_sm.nn.safetensors import load, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save({"weight": tg.Value([1.0, 2.0])}, os.path.join(folder, "model.safetensors"))
    ...     load(path)
    {'weight': array([1.0, 2.0])}
    """
    return write(path, model.state_dict() if hasattr(model, "state_dict") else model, metadata)


def load(path: Any, model: Any = None) -> Any:
    """The arrays of a safetensors file by name; or, given a model, the model with them as its weights.

    `load(path, model)` and `load(model, path)` are the same. The model takes the weights through `load_state_dict`, whose
    errors (a name that is missing or too much, another shape) then name the file. Raises what `read` raises, and a ValueError
    for a model and a file of `tinygrad-sm train`, whose network is nothing without the means and scales beside it.
    """
    if hasattr(path, "load_state_dict"):
        path, model = model, path
    elif not (model is None or hasattr(model, "load_state_dict")):
        raise TypeError(f"load: needs a model with load_state_dict, not {type(model).__name__}")
    tensors, metadata = read(path)
    if model is None:
        return tensors
    try:
        if metadata.get("format", "").startswith("tinygrad-sm train"):
            raise ValueError(
                "written by `tinygrad-sm train`: its network takes standardised columns; "
                "tinygrad_sm.cli.classifier.Classifier.load(path) gives it with its means and scales"
            )
        model.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError) as error:
        reason = str(error).removeprefix("load_state_dict: ")
        raise type(error)(f"cannot load {os.fsdecode(path)!r} into {type(model).__name__}: {reason}") from None
    return model


# --- writing


def write(path: str | os.PathLike[str], tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> Path:
    """Write arrays of any library, Values, lists or numbers by name to a safetensors file, and return its path.

    Each keeps its element type; Python numbers are of 64 bits. The bytes are those of the reference writer: the widest types
    come first, then the names in order. Raises a TypeError for what has no type in the format, such as decimals, a ValueError
    for an int beyond 64 bits, and an OSError for a path that cannot be written; an old file is then as it was.

    The format: https://github.com/huggingface/safetensors#format
    """
    import json

    from tinygrad_sm.files import path_name, write_whole

    try:
        if not isinstance(tensors, Mapping):
            raise TypeError(f"needs a model with state_dict, or arrays by name, not {type(tensors).__name__}")
        entries = [(name, *_packed(name, x)) for name, x in tensors.items()]
        if not (metadata is None or _are_texts(metadata)):
            raise TypeError("metadata must be texts by name, such as {'epochs': '10'}")
        header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
        stop = 0
        entries.sort(key=lambda entry: (_RANKS[entry[1]], entry[0]))
        for name, kind, shape, data in entries:
            start, stop = stop, stop + len(data)
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, stop]}
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        if len(text) > _LONGEST_HEADER:
            raise ValueError(f"the names and metadata take {len(text):,} bytes, and the format allows {_LONGEST_HEADER:,}")
    except (TypeError, ValueError) as error:
        raise type(error)(f"cannot write {path_name(path, 'write')!r}: {error}") from None
    return write_whole(path, b"".join([len(text).to_bytes(8, "little"), text, *(data for *_, data in entries)]))


def _packed(name: str, x: Any) -> tuple[str, Shape, bytes | bytearray]:
    """The dtype in the format, the shape, and the bytes."""
    if not is_text(name) or name == "__metadata__":
        raise ValueError(f"a tensor cannot have the name {_short.repr(name)}")
    x = plain(x)
    if getattr(x, "requires_grad", False):  # a parameter of torch
        x = x.detach()
    if not hasattr(x, "dtype"):
        x = _as_array(name, x)
    own = getattr(x.dtype, "name", str(x.dtype)).rpartition(".")[2]  # torch's dtypes have no name
    if own not in _KINDS:
        raise TypeError(f"{name!r} is of {own}, which cannot be written; convert it first, for example to float64")
    array, kind = _as_array(name, x), _KINDS[own]
    try:
        return kind, array.shape, _pack(kind, array._flat)
    except struct.error:
        raise ValueError(f"{name!r} holds an int beyond 64 bits") from None


def _as_array(name: str, x: Any) -> nd.Array:
    try:
        return nd.asarray(x)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name!r}: {error}") from None


def _pack(kind: str, flat: list) -> bytes | bytearray:
    if kind == "BF16":  # the upper half of a float32
        wide = _pack("F32", flat)
        data = bytearray(len(wide) // 2)
        data[::2], data[1::2] = wide[2::4], wide[3::4]
        return data
    return struct.pack(f"<{len(flat)}{_CODES[kind]}", *flat)


def _are_texts(x: Any) -> bool:
    return isinstance(x, Mapping) and all(is_text(part) for pair in x.items() for part in pair)


def is_text(x: Any) -> bool:
    """Whether `x` is a str that UTF-8 can write; lone surrogates, which JSON may spell out, it cannot."""
    try:
        return isinstance(x, str) and x.encode() is not None
    except UnicodeEncodeError:
        return False


# --- reading


def read(path: str | os.PathLike[str]) -> tuple[dict[str, nd.Array], dict[str, str]]:
    """The arrays by name and the metadata of a safetensors file. Floats of any width become float64, ints int64.

    Nothing in the file is trusted: a torn or forged one is a SafetensorsError that says what is wrong, and takes no more memory
    than its own size warrants. Raises an OSError for a file that is not there, and for a folder, a pipe or a device.
    """
    from tinygrad_sm.files import open_regular, path_name

    with open_regular(path) as file:
        try:
            before = os.fstat(file.fileno())
            header, room = _header(file, before.st_size)
            metadata = header.pop("__metadata__", {})
            if not _are_texts(metadata):
                raise SafetensorsError("its metadata are not texts by name")
            layout = _layout(header, room)
            tensors = {name: _array(name, kind, shape, _take(file, stop - start)) for start, stop, name, kind, shape in layout}
            after = os.fstat(file.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise SafetensorsError("it changed while it was read")
        except SafetensorsError as error:
            raise SafetensorsError(f"cannot read {path_name(path, 'read')!r}: {error}") from None
    return tensors, metadata


def _take(file: BinaryIO, n: int) -> bytes:
    data = file.read(n)
    if len(data) < n:
        raise SafetensorsError("it became shorter while it was read")
    return data


def _header(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """The header, and how many bytes of the file come after it."""
    start = _take(file, min(size, 8))
    length = int.from_bytes(start, "little")
    if size >= 8 and length <= min(size - 8, _LONGEST_HEADER):
        return _parse(_take(file, length)), size - 8 - length
    if file.read(1) != b"{":  # else it is a safetensors file that was cut off
        for magic, what in _OTHERS.items():
            if start.startswith(magic):
                raise SafetensorsError(f"it is {what}; load it with what wrote it, and save it with safetensors")
    if size < 8:
        raise SafetensorsError(f"a safetensors file has 8 bytes or more, and this one {size}")
    raise SafetensorsError(f"it announces a header of {length:,} bytes and has {size:,} in all; is it a safetensors file?")


def _parse(text: bytes) -> dict[str, Any]:
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) < len(pairs) or not all(map(is_text, entries)):
            raise SafetensorsError("its header has a name twice, or one that is no text")
        return entries

    def whole(digits: str) -> int:
        if len(digits) > 18:  # Python reads long ones slowly, or not at all
            raise SafetensorsError(f"its header has a number of {len(digits):,} digits")
        return int(digits)

    def refuse(constant: str) -> None:
        raise SafetensorsError(f"its header has {constant}, which is not JSON")

    if not text.startswith(b"{"):
        raise SafetensorsError("its header does not begin with {; is it a safetensors file?")
    try:
        return json.loads(text.decode(), object_pairs_hook=unique, parse_int=whole, parse_constant=refuse)
    except UnicodeDecodeError:
        raise SafetensorsError("its header is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise SafetensorsError(f"its header is not JSON: {error}") from None
    except RecursionError:
        raise SafetensorsError("its header is nested too deep") from None


def _layout(header: dict[str, Any], room: int) -> list[tuple[int, int, str, str, Shape]]:
    """Start, stop, name, dtype and shape of the tensors in the order of their bytes, which fill the `room` without a hole."""
    layout = sorted(_described(name, entry) for name, entry in header.items())
    end = 0
    for start, stop, name, *_ in layout:
        if start != end:
            fault = "overlaps the one before" if start < end else "leaves a gap"
            raise SafetensorsError(f"{_short.repr(name)} starts at byte {start:,} of the data instead of {end:,}: it {fault}")
        end = stop
    if end != room:
        raise SafetensorsError(f"its tensors take {end:,} bytes, and {room:,} come after the header")
    return layout


def _described(name: str, entry: Any) -> tuple[int, int, str, str, Shape]:
    shown = _short.repr(name)
    if not isinstance(entry, dict):
        raise SafetensorsError(f"{shown} has no dtype, shape and data_offsets")
    kind, shape, offsets = map(entry.get, ("dtype", "shape", "data_offsets"))
    if not isinstance(kind, str) or kind not in _CODES:
        raise SafetensorsError(f"{shown} has dtype {_short.repr(kind)}, and what can be read is {', '.join(_CODES)}")
    if not _are_sizes(shape):
        raise SafetensorsError(f"{shown} has shape {_short.repr(shape)}, which is no list of sizes")
    if not (_are_sizes(offsets) and len(offsets) == 2):
        raise SafetensorsError(f"{shown} has data_offsets {_short.repr(offsets)}, which are not a start and a stop")
    start, stop = offsets
    needed = 0 if 0 in shape else _SIZES[kind]
    for n in shape:
        needed *= n
        if needed > stop - start:  # the whole product of a forged shape may be too long to compute
            break
    if needed != stop - start:
        raise SafetensorsError(f"{shown} has {stop - start:,} bytes, which is not what {_short.repr(shape)} of {kind} takes")
    return start, stop, name, kind, tuple(shape)


def _are_sizes(x: Any) -> TypeGuard[list[int]]:
    return isinstance(x, list) and all(type(n) is int and n >= 0 for n in x)  # True is an int too


def _array(name: str, kind: str, shape: Shape, data: bytes) -> nd.Array:
    flat = _unpack(kind, data)
    if kind == "BOOL":
        if data.translate(None, b"\0\1"):
            raise SafetensorsError(f"{_short.repr(name)} holds truth values that are neither 0 nor 1")
        return make(flat, shape, nd.bool)
    if kind == "U64" and max(flat, default=0) >= 2**63:
        raise SafetensorsError(f"{_short.repr(name)} holds {max(flat)}, which is more than an int64 can")
    return make(flat, shape, nd.float64 if "F" in kind else nd.int64)


def _unpack(kind: str, data: bytes | bytearray) -> list:
    if kind == "BF16":  # the upper half of a float32
        wide = bytearray(2 * len(data))
        wide[2::4], wide[3::4] = data[::2], data[1::2]
        return _unpack("F32", wide)
    return [*struct.unpack(f"<{len(data) // _SIZES[kind]}{_CODES[kind]}", data)]
