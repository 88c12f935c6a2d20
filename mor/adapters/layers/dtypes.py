"""Element types of tensor files as NumPy dtypes, also those that NumPy does not have.

A type that NumPy lacks is a structured dtype of one unsigned field, named as PyTorch names
the type: an array of it carries its own type and its untouched bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.errors import CheckpointError

#: What a pole, a row of B or a column of C is made of.
ComplexArray = np.ndarray[Any, np.dtype[np.complex128]]


BFLOAT16 = np.dtype([("bfloat16", "<u2")])

#: Type names of the safetensors format. There is no complex128.
SAFETENSORS_DTYPES: dict[str, np.dtype] = {
    "BF16": BFLOAT16,
    "F8_E4M3": np.dtype([("float8_e4m3fn", "u1")]),
    "F8_E5M2": np.dtype([("float8_e5m2", "u1")]),
    "F8_E8M0": np.dtype([("float8_e8m0fnu", "u1")]),
    "BOOL": np.dtype("bool"),
    "C64": np.dtype("<c8"),
    **{f"{kind}{8 * size}": np.dtype(f"<{kind.lower()}{size}") for kind in "UI" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}


def dtype_name(dtype: np.dtype) -> str:
    """Name of the type: NumPy's, or PyTorch's for one that NumPy lacks."""
    return dtype.names[0] if dtype.names else dtype.name


def is_floating(dtype: np.dtype) -> bool:
    """Whether numbers of this type can be computed with as reals."""
    return dtype == BFLOAT16 or dtype.kind == "f"


def precision(dtype: np.dtype) -> float:
    """Spacing of the numbers of this type at 1."""
    return 2.0**-7 if dtype == BFLOAT16 else float(np.finfo(dtype).eps)


def as_double(x: np.ndarray) -> np.ndarray:
    """`x` as float64 or complex128; exact."""
    if x.dtype == BFLOAT16:
        bits = np.ascontiguousarray(x).view("<u2").astype("<u4") << 16
        return bits.view("<f4").astype(np.float64)
    # A signalling NaN would warn here; who checks the values names it.
    with np.errstate(invalid="ignore"):
        return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def as_type(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Float64 or complex128 values rounded to `dtype`, as a contiguous array.

    The caller checks the result for infinities: a narrow type may overflow.
    """
    if dtype.kind != "c" and np.iscomplexobj(x):
        raise CheckpointError(f"complex values cannot be stored as {dtype_name(dtype)}.")
    with np.errstate(over="ignore"):
        if dtype == BFLOAT16:
            return _to_bfloat16(np.ascontiguousarray(x, dtype="<f4"))
        return np.ascontiguousarray(x, dtype=dtype)


def _to_bfloat16(x: np.ndarray) -> np.ndarray:
    """Round to nearest, ties to even; NaN stays NaN."""
    bits = x.view("<u4")
    rounded = (bits + (((bits >> 16) & 1) + 0x7FFF)) >> 16
    rounded = np.where(np.isnan(x), (bits >> 16) | 0x0040, rounded)
    return rounded.astype("<u2").view(BFLOAT16)
