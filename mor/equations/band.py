r"""Gramians limited to a band of frequencies.

.. math:: P = \frac{1}{2\pi} \int_{\omega_1 \le |\omega| \le \omega_2}
              (i\omega - A)^{-1} B B^H (i\omega - A)^{-H}\, d\omega

solves :math:`AP + PA^H + SBB^H + BB^HS^H = 0` with

.. math:: S = \frac1{2\pi} \int_{\omega_1 \le |\omega| \le \omega_2} (i\omega - A)^{-1} d\omega
            = \frac1{2\pi i}\bigl(\ell(\omega_2) - \ell(\omega_1) + \ell(-\omega_1) - \ell(-\omega_2)\bigr),
            \quad \ell(\omega) = \log(i\omega - A).

On the unit circle (:math:`\theta = \omega\,dt`, integrand :math:`(e^{i\theta} - A)^{-1}BB^H(\cdot)^{-H}`,
:math:`d\theta`) it solves :math:`APA^H - P + SBB^H + BB^HS^H = 0` with

.. math:: S = \frac1{2\pi} \int \bigl(e^{i\theta}(e^{i\theta} - A)^{-1} - \tfrac12\bigr) d\theta
            = \frac{\theta_2-\theta_1}{2\pi} I
              + \frac1{2\pi i}\bigl(\ell(\theta_2) - \ell(\theta_1) + \ell(-\theta_1) - \ell(-\theta_2)\bigr),
            \quad \ell(\theta) = \log(I - e^{-i\theta}A).

For a real A the values at negative frequencies are conjugates, and S is real.

For a stable A all these logarithms are of matrices with spectra in the right half plane, where the
principal branch is smooth: none is taken of a product. On all frequencies :math:`S = I/2`. S commutes
with A, so :math:`P = SP_\infty + P_\infty S^H`.

The right-hand side is indefinite though P is not: a formed P is semidefinite to round-off of
:math:`P_\infty` only, and there is no factor but that of P itself.

Source: Gawronski and Juang (1990); the logarithms as in Petersson and Löfberg (2014).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.linalg

from mor.arrays import Array, adjoint, conj, namespace, to_complex
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
    """S (n, n) for a dense stable A, real for a real one.

    Cost one complex Schur form and the logarithms of two triangular matrices (of four for a
    complex A), about ``80 n^3``.
    """
    low, high = check_band(band, dt)
    eye = np.eye(len(A))
    if not len(A):
        return eye
    factors: Any = scipy.linalg.schur(A, output="complex")
    T, U = factors

    def log(w: float) -> Any:
        if np.isinf(w):
            return math.copysign(np.pi / 2, w) * 1j * eye
        return scipy.linalg.logm(eye - np.exp(-1j * w * dt) * T if dt else 1j * w * eye - T)

    if np.iscomplexobj(A):
        S = U @ (log(high) - log(low) + log(-low) - log(-high)) @ adjoint(U) / (2j * np.pi)
    else:
        S = np.imag(U @ (log(high) - log(low)) @ adjoint(U)) / np.pi
    return S + (high - low) * dt / (2 * np.pi) * eye if dt else S


def band_gramian(A: np.ndarray, B: np.ndarray, band: Band, dt: float = 0.0) -> np.ndarray:
    """P of the module's equations for dense A (n, n), strictly stable, and B (n, m).

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
    return _limited(SchurForm.of(A, dt=dt), band_operator(A, band, dt), B)


def band_gramians(form: SchurForm, A: np.ndarray, B: np.ndarray, C: np.ndarray, band: Band) -> Any:
    """``(P, Q)`` for A with the Schur form `form`, from one S: that of A^H is S^H."""
    S = band_operator(A, band, form.dt)
    return _limited(form, S, B), _limited(form.adjoint, adjoint(S), adjoint(C))


def _limited(form: SchurForm, S: np.ndarray, B: np.ndarray) -> np.ndarray:
    half = S @ B @ adjoint(B)
    return form.solve(half + adjoint(half))


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
    """Z with ``Z Z^H`` the semidefinite part of the Hermitian P (..., n, n); array API.

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
