r"""Gramians limited to a band of frequencies.

.. math:: P = \frac{1}{2\pi} \int_{\omega_1 \le |\omega| \le \omega_2}
              (i\omega - A)^{-1} B B^T (i\omega - A)^{-H}\, d\omega

solves :math:`AP + PA^T + SBB^T + BB^TS^T = 0` with

.. math:: S = \frac1{2\pi} \int_{\omega_1 \le |\omega| \le \omega_2} (i\omega - A)^{-1} d\omega
            = \frac1\pi \Im\bigl(\log(i\omega_2 - A) - \log(i\omega_1 - A)\bigr).

On the unit circle (:math:`\theta = \omega\,dt`, integrand :math:`(e^{i\theta} - A)^{-1}BB^T(\cdot)^{-H}`,
:math:`d\theta`) it solves :math:`APA^T - P + SBB^T + BB^TS^T = 0` with

.. math:: S = \frac1{2\pi} \int \bigl(e^{i\theta}(e^{i\theta} - A)^{-1} - \tfrac12\bigr) d\theta
            = \frac{\theta_2-\theta_1}{2\pi} I
              + \frac1\pi \Im\bigl(\log(I - e^{-i\theta_2}A) - \log(I - e^{-i\theta_1}A)\bigr).

For a stable A all these logarithms are of matrices with spectra in the right half plane, where the
principal branch is smooth: none is taken of a product. On all frequencies :math:`S = I/2`. S commutes
with A, so :math:`P = SP_\infty + P_\infty S^T`.

The right-hand side is indefinite though P is not: a formed P is semidefinite to round-off of
:math:`P_\infty` only, and there is no factor but that of P itself.

Source: Gawronski and Juang (1990); the logarithms as in Petersson and Löfberg (2014).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.linalg

from mor.arrays import Array, conj, namespace, to_complex
from mor.equations import cauchy
from mor.equations.schur import SchurForm
from mor.errors import TimeStepError

#: ``(omega_1, omega_2)`` in radians per unit of time.
Band = tuple[float, float]


def check_band(band: Any, dt: float) -> Band:
    """`band` as two frequencies ``0 <= omega_1 < omega_2``, in discrete time at most ``pi/dt``."""
    try:
        low, high = (float(x) for x in band)
    except (TypeError, ValueError):
        raise TimeStepError(f"band={band!r}: a band is two frequencies (omega_1, omega_2).") from None
    end = np.pi / dt if dt else np.inf
    if high == np.inf or high <= end * (1 + 1e-12):
        high = min(high, end)
    if not 0 <= low < high <= end:
        limit = f" <= pi/dt = {end:g}" if dt else ""
        raise TimeStepError(
            f"band={band!r}: frequencies, in radians per unit of time, must satisfy "
            f"0 <= omega_1 < omega_2{limit}."
        )
    return low, high


def band_operator(A: np.ndarray, band: Band, dt: float) -> np.ndarray:
    """S, real (n, n), for a dense stable A; cost two complex matrix logarithms, about ``100 n^3``."""
    low, high = check_band(band, dt)
    eye = np.eye(len(A))
    if not len(A):
        return eye
    if dt:
        turned = [_log_imag(eye - np.exp(-1j * w * dt) * A) for w in (low, high)]
        return (high - low) * dt / (2 * np.pi) * eye + (turned[1] - turned[0]) / np.pi
    ends = [np.pi / 2 * eye if np.isinf(w) else _log_imag(1j * w * eye - A) for w in (low, high)]
    return (ends[1] - ends[0]) / np.pi


def _log_imag(X: np.ndarray) -> np.ndarray:
    log: Any = scipy.linalg.logm(X)
    return log.imag


def band_gramian(A: np.ndarray, B: np.ndarray, band: Band, dt: float = 0.0) -> np.ndarray:
    """P of the module's equations for dense real A (n, n), strictly stable, and B (n, m).

    Parameters
    ----------
    band : ``(omega_1, omega_2)``, radians per unit of time; ``omega_2`` may be infinite
        (``pi/dt`` in discrete time).

    Raises
    ------
    TimeStepError
        If `band` is none.

    Examples
    --------
    >>> import numpy as np
    >>> from mor.equations.band import band_gramian
    >>> band_gramian(np.array([[-1.0]]), np.array([[1.0]]), (0.0, 1.0)).round(6)  # half of 1/2
    array([[0.25]])
    """
    S = band_operator(A, band, dt)
    half = S @ B @ B.T
    return SchurForm.of(A, dt=dt).solve(half + half.T)


def band_kernels(poles: Array, band: Band, dt: float) -> cauchy.Kernels:
    r"""The kernels of band-limited Gramians of a modal system: ``(s_i + conj(s_j)) g_ij``; array API.

    S is a function of A that is real for real A, so on a mode it is a number: with
    :math:`\ell(\omega) = \log(i\omega - \lambda)`,
    :math:`s = \frac{1}{2\pi i}(\ell(\omega_2) - \ell(\omega_1) + \ell(-\omega_1) - \ell(-\omega_2))`.
    """
    low, high = check_band(band, dt)
    xp = namespace(poles)
    whole = cauchy.kernels(poles, dt=dt)
    s = _scalar_operator(to_complex(poles), low, high, dt)
    if whole.symmetric is None:
        s = xp.real(s)
    sums = s[..., :, None] + conj(s)[..., None, :]
    if whole.symmetric is None:
        return cauchy.Kernels(sums * whole.hermitian, None)
    return cauchy.Kernels(sums * whole.hermitian, (s[..., :, None] + s[..., None, :]) * whole.symmetric)


def _scalar_operator(poles: Array, low: float, high: float, dt: float) -> Array:
    xp = namespace(poles)

    def log(w: float) -> Array:
        if np.isinf(w):
            return xp.zeros_like(poles) + math.copysign(np.pi / 2, w) * 1j
        return xp.log(1 - complex(np.exp(-1j * w * dt)) * poles if dt else 1j * w - poles)

    total = (log(high) - log(low) + log(-low) - log(-high)) / (2j * np.pi)
    return total + (high - low) * dt / (2 * np.pi) if dt else total


def semidefinite_factor(P: Array) -> Array:
    """Z with ``Z Z^T`` the semidefinite part of the symmetric P (..., n, n); array API.

    By eigenvalues: right to round-off of the largest entry of P, so that singular values
    made of it are right to the square root of that.
    """
    xp = namespace(P)
    values, U = xp.linalg.eigh(P)
    return U * xp.sqrt(xp.where(values > 0, values, xp.zeros_like(values)))[..., None, :]


def delayed(A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray) -> tuple[Any, Any, Any]:
    """``(A, B, C)`` of the discrete ``G(z)/z``, which has the same gains and no D."""
    n, m = B.shape
    late = np.block([[A, B], [np.zeros((m, n)), np.zeros((m, m))]])
    return late, np.vstack([np.zeros((n, m)), np.eye(m)]), np.hstack([C, D])
