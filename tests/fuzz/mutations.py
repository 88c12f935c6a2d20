"""What is done to valid files: at random, and where it hurts."""

from __future__ import annotations

import gzip
import io
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable

#: Integers that sizes, counts and indices do not expect.
_EXTREME = (0, 1, -1, 2, 7, 255, 5000, 10**6, 2**31 - 1, -(2**31), 2**32 - 1, 2**40, 2**63 - 1, -5, 100000)
_WORDS = (
    b"nan",
    b"1e999",
    b"[" * 3000,
    b"{}",
    b"null",
    b"",
    b"-",
    b"\xff\xfe",
    b"\0",
    b"9" * 5000,
    b"%",
    b"\n",
)


def mutated(rng: random.Random, kind: str, data: bytes) -> bytes:
    """`data`, a file of this format, changed."""
    inner = {
        "mat5-compressed": _in_elements, "npz": _in_archive, "pt": _in_archive, "mtx-gz": _in_gzip,
    }.get(kind)  # fmt: skip
    change = rng.choice((_flip, _flip, _number, _number, _number, _cut, _splice))
    if kind.startswith("mtx") or kind in ("shards", "safetensors", "npz", "pt"):
        change = rng.choice((change, _text, _text))
    if inner is not None and rng.random() < 0.7:
        return inner(rng, data, change)
    return change(rng, data)


def _flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if changed:
            place = rng.randrange(len(changed))
            changed[place] = rng.choice((changed[place] ^ 1 << rng.randrange(8), 0, 255, rng.randrange(256)))
    return bytes(changed)


def _number(rng: random.Random, data: bytes) -> bytes:
    """An aligned integer of 2, 4 or 8 bytes becomes an extreme one."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        width = rng.choice((2, 4, 4, 4, 8))
        if len(changed) < width:
            return data
        # Heads, where sizes are, come first.
        end = rng.choice((min(len(changed), 512), len(changed)))
        place = rng.randrange(0, max(1, end - width), 2)
        value = rng.choice(_EXTREME) % 2 ** (8 * width)
        changed[place : place + width] = value.to_bytes(width, rng.choice(("little", "big")))
    return bytes(changed[: len(data)])


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _splice(rng: random.Random, data: bytes) -> bytes:
    """A piece is left out, doubled, or put somewhere else."""
    if len(data) < 2:
        return data
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice((1, 4, 8, 64, 256)))
    place = rng.randrange(len(data))
    piece = data[start:end]
    return rng.choice(
        (
            data[:start] + data[end:],
            data[:place] + piece + data[place:],
            data[:place] + piece + data[place + len(piece) :],
        )
    )


def _text(rng: random.Random, data: bytes) -> bytes:
    """A number in a text becomes another, or a word that is none."""
    numbers = list(re.finditer(rb"[\d.e+-]+|\w+", data[:20000]))
    if not numbers:
        return data
    found = rng.choice(numbers[: rng.choice((12, len(numbers)))])
    word = rng.choice((str(rng.choice(_EXTREME)).encode(), rng.choice(_WORDS)))
    return data[: found.start()] + word + data[found.end() :]


_Change = Callable[[random.Random, bytes], bytes]


def _in_elements(rng: random.Random, data: bytes, change: _Change) -> bytes:
    """One compressed variable of a .mat is changed inside."""
    elements, place = [], 128
    while place + 8 <= len(data):
        _, size = struct.unpack("<2I", data[place : place + 8])
        elements.append(data[place + 8 : place + 8 + size])
        place += 8 + size
    chosen = rng.randrange(len(elements))
    elements[chosen] = zlib.compress(change(rng, zlib.decompress(elements[chosen])))
    return data[:128] + b"".join(struct.pack("<2I", 15, len(x)) + x for x in elements)


def _in_archive(rng: random.Random, data: bytes, change: _Change) -> bytes:
    """One member of a zip is changed, its checksum set right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        chosen = rng.choice(source.namelist())
        for name in source.namelist():
            member = source.read(name)
            if name == chosen:
                member = change(rng, member)
            method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            target.writestr(zipfile.ZipInfo(name), member, method)
    return out.getvalue()


def _in_gzip(rng: random.Random, data: bytes, change: _Change) -> bytes:
    return gzip.compress(change(rng, gzip.decompress(data)), mtime=0)
