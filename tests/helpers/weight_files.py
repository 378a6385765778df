"""Files of weights put together byte by byte, right ones and wrong ones."""

import json


def assemble(header: str | bytes | dict, data: bytes = b"", length: int | None = None) -> bytes:
    """The bytes of a file, which need not be a valid one."""
    text = json.dumps(header) if isinstance(header, dict) else header
    text = text.encode() if isinstance(text, str) else text
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def described(dtype="F32", shape=(1,), offsets=(0, 4)) -> dict:
    """The header of a single tensor."""
    return {"x": {"dtype": dtype, "shape": [*shape], "data_offsets": [*offsets]}}
