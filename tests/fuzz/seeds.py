"""Valid files of every format, as bytes by name; the first name is what is opened."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import scipy.io
import scipy.sparse

import mor

Files = dict[str, bytes]

N = 6


def system() -> dict:
    """Matrices of a stable system of order 6, 2 inputs and 1 output."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((N, N)) - 6 * np.eye(N)
    return {"A": A, "B": rng.standard_normal((N, 2)), "C": rng.standard_normal((1, N)), "D": np.zeros((1, 2))}


def _mat(contents: dict, **options) -> Files:
    out = io.BytesIO()
    scipy.io.savemat(out, contents, **options)
    data = out.getvalue()
    # The head of version 5 has the time in it.
    return {"m.mat": data if "format" in options else b"MATLAB 5.0 MAT-file".ljust(116) + data[116:]}


def _sparse() -> dict:
    sparse = {k: scipy.sparse.csc_array(np.where(np.abs(x) > 0.5, x, 0)) for k, x in system().items()}
    return sparse | {"E": scipy.sparse.eye_array(N, format="csc"), "Ts": 0.1}


def _named() -> dict:
    cells = np.array(["force", "torque"], dtype=object)
    return system() | {"InputName": cells, "Name": "plant", "notes": {"text": "x", "cells": cells}}


def _market(packed: bool) -> Files:
    sys = mor.LTI(**system(), dt=0.1, labels=mor.Labels(name="plant", inputs=["a", "b"]))
    with TemporaryDirectory() as folder:
        mor.save(Path(folder) / "m.mtx", sys)
        files = {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}
    if packed:
        files = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in files.items()}
    return files


def _coordinates() -> Files:
    files = {}
    for name, x in _sparse().items():
        if name != "Ts":
            out = io.BytesIO()
            scipy.io.mmwrite(out, x)
            files[f"m.{name}.mtx"] = out.getvalue()
    return files


def layer() -> dict[str, np.ndarray]:
    """Tensors of one layer of the LRU kind, with 4 modes and 2 channels."""
    rng = np.random.default_rng(0)
    shapes = {
        "nu_log": 4,
        "theta_log": 4,
        "gamma_log": 4,
        "B_re": (4, 2),
        "B_im": (4, 2),
        "C_re": (2, 4),
        "C_im": (2, 4),
    }
    tensors = {f"l.{name}": rng.uniform(-2, -1, shape).astype("f4") for name, shape in shapes.items()}
    return tensors | {"l.D": np.ones(2, "f4"), "head.weight": np.ones((3, 2), "f4")}


def _safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    from safetensors.numpy import save

    return save(tensors, {"note": "x"})


def _shards() -> Files:
    tensors = layer()
    places = {key: f"part-{i % 2}.safetensors" for i, key in enumerate(tensors)}
    parts = {
        place: {k: x for k, x in tensors.items() if places[k] == place} for place in set(places.values())
    }
    index = json.dumps({"metadata": {}, "weight_map": places}).encode()
    return {"m.safetensors.index.json": index} | {p: _safetensors(parts[p]) for p in sorted(parts)}


def _torch(legacy: bool) -> Files:
    import torch

    out = io.BytesIO()
    tensors = {key: torch.from_numpy(x) for key, x in layer().items()}
    if legacy:
        # Storages are called by their addresses there, and sorted by them: one storage is the same in
        # every run but for its name.
        flat, place = torch.cat([x.ravel() for x in tensors.values()]), 0
        for key, x in tensors.items():
            tensors[key], place = flat[place : place + x.numel()].view(x.shape), place + x.numel()
    content = {"state_dict": tensors, "epoch": 3}
    torch.save(content, out, _use_new_zipfile_serialization=not legacy)
    data = out.getvalue()
    if legacy:
        named = re.search(rb"X(.)\0\0\0(\d{12,16})", data, re.S)
        data = data.replace(named[0], b"X\x0e\0\0\0" + b"7" * 14)
    return {"m.pt": data}


def matlab73(contents: dict, path: Path, *, compress: bool = True) -> None:
    """A file of version 7.3 in MATLAB's layout: transposed, text as codes, sparse and structs as groups."""
    import h5py

    with h5py.File(path, "w", userblock_size=512, track_order=False) as file:
        references = file.create_group("#refs#")
        for name, value in contents.items():
            _store(h5py, file, references, name, value, compress)
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(head)


def _store(h5py, group, references, name, value, compress):
    if isinstance(value, dict):
        inner = group.create_group(name)
        inner.attrs["MATLAB_class"] = np.bytes_("struct")
        for field, x in value.items():
            _store(h5py, inner, references, field, x, compress)
        return
    if scipy.sparse.issparse(value):
        inner, value = group.create_group(name), value.tocsc()
        inner.attrs["MATLAB_class"] = np.bytes_("double")
        inner.attrs["MATLAB_sparse"] = np.uint64(value.shape[0])
        inner["jc"] = value.indptr.astype("u8")
        if value.nnz:
            inner["data"], inner["ir"] = _real_or_pair(value.data), value.indices.astype("u8")
        return
    if isinstance(value, list):
        made = [f"c{len(references) + i}" for i in range(len(value))]
        for key, text in zip(made, value, strict=True):
            _store(h5py, references, references, key, text, compress)
        cells = np.array([[references[key].ref for key in made]], dtype=h5py.ref_dtype)
        group.create_dataset(name, data=cells).attrs["MATLAB_class"] = np.bytes_("cell")
        return
    kind = {"U": "char", "b": "logical"}.get(np.asarray(value).dtype.kind, "double")
    x = np.array([[ord(c)] for c in value], "u2") if kind == "char" else np.atleast_2d(np.asarray(value)).T
    if not x.size:
        shape = (0, 0) if kind == "char" else x.T.shape
        data = group.create_dataset(name, data=np.array(shape, "u8"))
        data.attrs["MATLAB_empty"] = np.uint8(1)
    else:
        options = {"chunks": x.shape, "compression": "gzip"} if compress and kind == "double" else {}
        data = group.create_dataset(name, data=_real_or_pair(x), **options)
    data.attrs["MATLAB_class"] = np.bytes_({"f4": "single"}.get(x.dtype.str[1:], kind))


def _real_or_pair(x):
    if not np.iscomplexobj(x):
        return x.astype("u1") if x.dtype == bool else x
    pair = np.empty(x.shape, [("real", "f8"), ("imag", "f8")])
    pair["real"], pair["imag"] = x.real, x.imag
    return pair


def _mat73() -> Files:
    contents = {k: x for k, x in _sparse().items() if k in "AE"} | {
        k: x for k, x in system().items() if k in "BCD"
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.mat"
        matlab73({**contents, "InputName": ["force", "torque"], "Name": "plant"}, path)
        return {"m.mat": path.read_bytes()}


def _npz(**options) -> Files:
    out = io.BytesIO()
    np.savez(out, **system(), **options)
    return {"m.npz": out.getvalue()}


def all_seeds() -> dict[str, Files]:
    """By format; those whose package is missing are left out."""
    made = {
        "mat5": lambda: _mat(system()),
        "mat5-compressed": lambda: _mat(_named(), do_compression=True),
        "mat5-sparse": lambda: _mat(_sparse()),
        "mat5-struct": lambda: _mat({"s": _named()}),
        "mat4": lambda: _mat({k: x for k, x in _sparse().items() if k in "AEBC"}, format="4"),
        "mat73": _mat73,
        "npz": lambda: _npz(dt=0.5, InputName=np.array(["a", "b"])),
        "mtx": lambda: _market(packed=False),
        "mtx-gz": lambda: _market(packed=True),
        "mtx-sparse": _coordinates,
        "safetensors": lambda: {"m.safetensors": _safetensors(layer())},
        "shards": _shards,
        "pt": lambda: _torch(legacy=False),
        "pt-legacy": lambda: _torch(legacy=True),
    }
    found = {}
    for name, make in made.items():
        try:
            found[name] = make()
        except ImportError:
            continue
    return found
