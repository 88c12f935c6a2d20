"""What the rounding of a file may add to the error of a layer."""

from __future__ import annotations

import numpy as np

from mor.arrays import to_numpy
from mor.equations.boundary import margins
from mor.systems.modal import Modal, conjugated


def rounding_bound(exact: Modal, stored: Modal) -> float:
    r"""Upper limit of the largest gain over frequency of ``exact - stored``, mode by mode.

    For the same modes in the same order, conjugation and the scale of each mode aside, with
    :math:`d = |1 - |\lambda||` the distance to the circle, as :math:`1/|z - \lambda| \le 1/d` on it,

    .. math:: \sum_i \frac{|\delta c_i| |b_i| + |\tilde c_i| |\delta b_i|}{d_i}
              + \frac{|\tilde c_i| |\tilde b_i| |\delta\lambda_i|}{d_i \tilde d_i}.

    Infinite where a mode on the circle, or one that rounding brought to its other side, is not exact.
    Cheap, and tight enough to tell what the rounding of a file may add to an error bound.
    """
    pole, B, C = _upper_half(exact)
    other, stored_B, stored_C = _upper_half(stored)
    inside = margins(pole, exact.dt) > 0
    side = np.where(inside, 1.0, -1.0)
    near, far = (np.maximum(side * margins(x, exact.dt), 0.0) for x in (pole, other))
    # Unstable modes are to be the same to the last bit, which no change of scale leaves them.
    scale = np.where(inside, _alignment(B, stored_B), 1.0)
    B, C = B * scale[..., :, None], C / scale[..., None, :]
    row, column = _rows(stored_B), _columns(stored_C)
    residue = _columns(stored_C - C) * _rows(B) + column * _rows(stored_B - B)
    terms = _over(residue, near) + _over(column * row * np.abs(pole - other), near * far)
    feedthrough = np.linalg.norm(to_numpy(exact.D) - to_numpy(stored.D), axis=(-2, -1))
    return float(np.max(np.sum(terms, axis=-1) + feedthrough))


def _upper_half(system: Modal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    poles, B, C = (to_numpy(x).astype(complex) for x in (system.poles, system.B, system.C))
    return conjugated(poles.imag < 0, poles, B, C)


def _alignment(B: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Factor of each row of B that brings it closest to `target`; 1 where it is zero."""
    overlap = np.sum(np.conj(B) * target, axis=-1)
    usable = np.abs(overlap) > 0
    energy = np.where(usable, np.sum(np.abs(B) ** 2, axis=-1), 1.0)
    return np.where(usable, overlap / energy, 1.0)


def _rows(B: np.ndarray) -> np.ndarray:
    return np.linalg.norm(B, axis=-1)


def _columns(C: np.ndarray) -> np.ndarray:
    return np.linalg.norm(C, axis=-2)


def _over(error: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Zero where nothing is wrong, at whatever distance."""
    with np.errstate(divide="ignore"):
        return np.divide(error, distance, out=np.zeros_like(error), where=error > 0)
