"""Small files that say they are large: each by the size it would take, in a few kilobytes."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib

import numpy as np

#: Zeros are compressed a block at a time, and the block repeated.
_BLOCK = 1 << 22


def deflated_zeros(head: bytes, count: int, tail: bytes = b"", filler: bytes = b"\0") -> bytes:
    """A raw deflate stream of `head`, about `count` times `filler`, and `tail`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(filler * _BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    rest = filler * (count % _BLOCK) + tail
    return first + block * (count // _BLOCK) + packer.compress(rest) + packer.flush()


def _checksum(function, start: int, head: bytes, count: int, tail: bytes, filler: bytes) -> int:
    value = function(head, start)
    block = filler * _BLOCK
    for _ in range(count // _BLOCK):
        value = function(block, value)
    return function(filler * (count % _BLOCK) + tail, value)


def mat(rows: int) -> bytes:
    """A of zeros, of order `rows`, with B and C beside it, compressed."""

    def matrix(name: bytes, shape: tuple[int, int]) -> bytes:
        size = 8 * shape[0] * shape[1]
        inner = struct.pack("<4I", 6, 8, 6, 0) + struct.pack("<2I2i", 5, 8, *shape)
        inner += struct.pack("<HH4s", 1, 1, name) + struct.pack("<2I", 9, size)
        head = struct.pack("<2I", 14, len(inner) + size) + inner
        body = deflated_zeros(head, size)
        check = _checksum(zlib.adler32, 1, head, size, b"", b"\0")
        packed = b"\x78\xda" + body + struct.pack(">I", check)
        return struct.pack("<2I", 15, len(packed)) + packed

    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    return head + b"".join(
        matrix(n, s) for n, s in ((b"A", (rows, rows)), (b"B", (rows, 1)), (b"C", (1, rows)))
    )


def _npy(shape: tuple[int, ...]) -> bytes:
    text = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _zip(members: dict[str, tuple[bytes, int, bytes, bytes]]) -> bytes:
    """An archive of members ``head, count, tail, filler``, deflated."""
    out, table = io.BytesIO(), b""
    for name, (head, count, tail, filler) in members.items():
        body = deflated_zeros(head, count, tail, filler)
        check = _checksum(zlib.crc32, 0, head, count, tail, filler)
        sizes = check, len(body), len(head) + count + len(tail), len(name), 0
        place = out.tell()
        out.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 33, *sizes) + name.encode() + body)
        table += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 8, 0, 33, *sizes, 0, 0, 0, 0, place)
        table += name.encode()
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(members), len(members), len(table), out.tell(), 0)
    return out.getvalue() + table + end


def npz(rows: int) -> bytes:
    """A of zeros of order `rows`, deflated."""
    shapes = {"A.npy": (rows, rows), "B.npy": (rows, 1), "C.npy": (1, rows)}
    return _zip({n: (_npy(s), 8 * s[0] * s[1], b"", b"\0") for n, s in shapes.items()})


def npz_promise(rows: int) -> bytes:
    """Nothing behind a head that says A is of order `rows`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, shape in {"A": (rows, rows), "B": (rows, 1), "C": (1, rows)}.items():
            archive.writestr(f"{name}.npy", _npy(shape))
    return out.getvalue()


def mtx_comment(count: int) -> bytes:
    """A compressed Matrix Market file that is one long comment."""
    head, tail = b"%%MatrixMarket matrix array real general\n%", b"\n1 1\n1\n"
    check = _checksum(zlib.crc32, 0, head, count, tail, b"x")
    size = (len(head) + count + len(tail)) & 0xFFFFFFFF
    body = deflated_zeros(head, count, tail, b"x")
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body + struct.pack("<2I", check, size)


def mtx_line(count: int) -> bytes:
    """The same with the long line where the numbers are."""
    head = b"%%MatrixMarket matrix array real general\n1 1\n1"
    check = _checksum(zlib.crc32, 0, head, count, b"", b"0")
    size = (len(head) + count) & 0xFFFFFFFF
    return (
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
        + deflated_zeros(head, count, b"", b"0")
        + struct.pack("<2I", check, size)
    )


def mtx_promise(rows: int, form: str = "array") -> bytes:
    """A head of sixty bytes."""
    sizes = f"{rows} {rows}" if form == "array" else f"{min(rows, 5000)} {min(rows, 5000)} {rows**2}"
    return f"%%MatrixMarket matrix {form} real general\n{sizes}\n1 1 1\n".encode()


def mtx_gz_promise(rows: int) -> bytes:
    """The same, compressed: the length of the file says nothing."""
    return gzip.compress(mtx_promise(rows), mtime=0)


def pickle_in_zip(count: int) -> bytes:
    """A checkpoint whose pickle makes `count` lists."""
    return _zip({"a/data.pkl": (b"\x80\x02", count, b"0.", b"]"), "a/version": (b"3\n", 0, b"", b"")})


def safetensors_promise(rows: int) -> bytes:
    """A head that says that a tensor is large."""
    header = {"nu_log": {"dtype": "F64", "shape": [rows], "data_offsets": [0, 8 * rows]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def expanded(count: int) -> bytes:
    """A checkpoint of one LRU layer of `count` modes, each tensor one number seen many times."""
    import torch

    def seen(*shape: int):
        return torch.full((1,), -1.0).expand(*shape)

    vectors = {f"l.{name}": seen(count) for name in ("nu_log", "theta_log", "gamma_log")}
    inputs = {f"l.B_{part}": seen(count, 2) for part in ("re", "im")}
    outputs = {f"l.C_{part}": seen(2, count) for part in ("re", "im")}
    out = io.BytesIO()
    torch.save({**vectors, **inputs, **outputs, "l.D": seen(2)}, out)
    return out.getvalue()


def wide_feedthrough(width: int) -> bytes:
    """One state, `width` inputs and outputs and no D: zeros of which the file stores none."""
    out = io.BytesIO()
    np.savez_compressed(out, A=-np.eye(1), B=np.zeros((1, width)), C=np.zeros((width, 1)))
    return out.getvalue()
