r"""Gramians limited to a band of frequencies.

.. math:: P = \frac{1}{2\pi} \int_{\omega_1 \le |\omega| \le \omega_2}
              (i\omega - A)^{-1} B B^H (i\omega - A)^{-H}\, d\omega

is computed as it stands, by quadrature with positive weights on panels that are graded towards the
poles (:mod:`mor.equations.panels`): the values :math:`(i\omega_k - A)^{-1}B` times roots of the weights are
a factor, so that nothing cancels, and small singular values of a product of two factors are as right as
without a band. On the unit circle (:math:`\theta = \omega\,dt`) the integrand is
:math:`(e^{i\theta} - A)^{-1}BB^H(\cdot)^{-H}`, integrated over :math:`d\theta`. For a real A the values at
negative frequencies are conjugates.

Of a diagonal A the integral has a closed form: it solves :math:`AP + PA^H + SBB^H + BB^HS^H = 0` with

.. math:: S = \frac1{2\pi} \int_{\omega_1 \le |\omega| \le \omega_2} (i\omega - A)^{-1} d\omega
            = \frac1{2\pi i}\bigl(\ell(\omega_2) - \ell(\omega_1) + \ell(-\omega_1) - \ell(-\omega_2)\bigr),
            \quad \ell(\omega) = \log(i\omega - A),

on the unit circle :math:`APA^H - P + SBB^H + BB^HS^H = 0` with

.. math:: S = \frac1{2\pi} \int \bigl(e^{i\theta}(e^{i\theta} - A)^{-1} - \tfrac12\bigr) d\theta
            = \frac{\theta_2-\theta_1}{2\pi} I
              + \frac1{2\pi i}\bigl(\ell(\theta_2) - \ell(\theta_1) + \ell(-\theta_1) - \ell(-\theta_2)\bigr),
            \quad \ell(\theta) = \log(I - e^{-i\theta}A).

Its right-hand side is indefinite though P is not: a P so formed is semidefinite to round-off of the one over
all frequencies only. Of a dense A the logarithms are right to round-off of :math:`|A|`, in whatever units its
states are, and are not taken.

Source: [Gawronski90]; the logarithms as in [Petersson14].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from mor.arrays import Array, adjoint, conj, namespace, to_complex
from mor.checks import numbers, shown
from mor.equations import cauchy
from mor.equations.doubling import qr_compress
from mor.equations.panels import Piece, pieces, resolved
from mor.equations.resolvent import resolvent
from mor.equations.schur import SchurForm
from mor.errors import TimeStepError, TimeTypeError, keyword

#: ``(omega_1, omega_2)`` in radians per unit of time.
Band = tuple[float, float]


def check_band(band: Any, dt: float) -> Band:
    """`band` as two frequencies ``0 <= omega_1 < omega_2``, in discrete time at most ``pi/dt``."""
    if not isinstance(band, Sequence | np.ndarray) or isinstance(band, str | bytes):
        raise TimeTypeError(f"{keyword('band', shown(band))}: a band is two frequencies.", argument="band")
    ends = numbers("band", band, kinds="biuf")
    if ends.shape != (2,):
        raise TimeStepError(
            f"{keyword('band', shown(band))}: a band is two frequencies (omega_1, omega_2).", argument="band"
        )
    low, high = (float(x) for x in ends)
    end = np.pi / dt if dt else np.inf
    if high == np.inf or high <= end * (1 + 1e-12):
        high = min(high, end)
    if not 0 <= low < high <= end:
        limit = f" <= pi/dt = {end:g}" if dt else ""
        raise TimeStepError(
            f"{keyword('band', shown(band))}: frequencies, in radians per unit of time, must satisfy "
            f"0 <= omega_1 < omega_2{limit}.",
            argument="band",
        )
    return low, high


def band_gramian(A: np.ndarray, B: np.ndarray, band: Band, dt: float = 0.0) -> np.ndarray:
    """P of the module's equation for dense A (n, n), strictly stable, and B (n, m).

    Parameters
    ----------
    A : array (n, n), strictly stable.
    B : array (n, m)
    band : ``(omega_1, omega_2)``, radians per unit of time; ``omega_2`` may be infinite
        (``pi/dt`` in discrete time).
    dt : 0.0 continuous, positive discrete.

    Returns
    -------
    P : array (n, n)

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
    form = SchurForm.of(A, dt=dt, graded=True).in_field_of(B)
    Z = form.leave(_triangular_factor(form, B, band))
    return Z @ adjoint(Z)


def band_factors(form: SchurForm, B: np.ndarray, C: np.ndarray, band: Band) -> tuple[np.ndarray, np.ndarray]:
    """``(Zc, Zo)`` of the system with this Schur form: ``P = Zc Zc^H``, ``Q = Zo Zo^H``.

    Cost ``2 n^2 m`` flops a frequency and as many for the QR factorisation of what they give: some
    hundred frequencies if all poles are real or well damped, some hundred for each that is not.
    """
    ahead, back = form.in_field_of(B), form.adjoint.in_field_of(C)
    U, S = _triangular_factor(back, adjoint(C), band), back.pencil.S
    Zo = back.right @ U if S is None else back.left @ (S @ U)
    return ahead.leave(_triangular_factor(ahead, B, band)), Zo


def band_pieces(poles: np.ndarray, band: Band, dt: float, *, is_real: bool) -> tuple[list[Piece], float]:
    """Panels of the band for a function with these poles, and what its integral is divided by, in the
    unit of ``omega`` (continuous) or ``theta`` (discrete).

    A real system's frequencies of one sign stand for both.
    """
    low, high = check_band(band, dt)
    poles = np.asarray(poles, dtype=complex)
    if dt:
        with np.errstate(divide="ignore"):
            angles = -1j * np.log(poles[poles != 0])
        singular = (angles[:, None] + 2 * np.pi * np.array([-1, 0, 1])).ravel()
        low, high = low * dt, high * dt
    else:
        singular = poles / 1j
    positive = pieces(low, high, singular)
    if is_real:
        return positive, np.pi
    mirrored = [_mirrored(piece) for piece in pieces(low, high, -singular)]
    return [*positive, *mirrored], 2 * np.pi


def _mirrored(piece: Piece) -> Piece:
    """The same panels of negative frequencies."""

    def frequency(t: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        omega, root = piece.frequency(t)
        return -omega, root

    return Piece(piece.ends, frequency)


def _triangular_factor(form: SchurForm, B: np.ndarray, band: Band) -> np.ndarray:
    """U in the coordinates of the Schur form, at most n columns."""
    inner = form.enter(B)
    is_real = not np.iscomplexobj(inner) and not np.iscomplexobj(form.pencil.T)
    if not inner.size:
        return inner[:, :0]

    states = partial(resolvent, form.pencil, B=inner)
    return factor_in_band(states, inner.shape, form.poles, band, form.dt, is_real=is_real)


def factor_in_band(
    states: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, ...],
    poles: np.ndarray,
    band: Band,
    dt: float,
    *,
    is_real: bool,
) -> np.ndarray:
    """Z (n, r), r <= n, with P of the module's equation ``Z Z^H``.

    Parameters
    ----------
    states : from points s (N,) on the axis or circle to ``(s - A)^{-1} B``, (n, N, m).
    shape : ``(n, m)``
    poles : eigenvalues of A, of a real one both of a pair.
    """
    panels, divisor = band_pieces(poles, band, dt, is_real=is_real)

    def of_frequency(omega: np.ndarray) -> np.ndarray:
        return np.moveaxis(states(np.exp(1j * omega) if dt else 1j * omega), 1, 0)

    n = shape[0]
    Z = np.zeros((n, 0), dtype=float if is_real else complex)
    for _, values in resolved(of_frequency, panels, int(np.prod(shape))):
        X: Any = np.moveaxis(values, 0, 1).reshape(n, values.shape[0] * values.shape[2])
        Z = qr_compress(np.hstack([Z, X.real, X.imag] if is_real else [Z, X]))
    return Z / divisor**0.5


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
    sums = s[..., :, None] + conj(s)[..., None, :]
    if whole.symmetric is None:
        return cauchy.Kernels(xp.real(sums) * whole.hermitian, None)
    return cauchy.Kernels(sums * whole.hermitian, (s[..., :, None] + s[..., None, :]) * whole.symmetric)


def _scalar_operator(poles: Array, low: float, high: float, dt: float) -> Array:
    xp = namespace(poles)

    def log(w: float) -> Array:
        if np.isinf(w):
            return xp.zeros_like(poles) + math.copysign(np.pi / 2, w) * 1j
        return xp.log(1 - complex(np.exp(-1j * w * dt)) * poles if dt else 1j * w - poles)

    total = (log(high) - log(low) + log(-low) - log(-high)) / (2j * np.pi)
    return total + (high - low) * dt / (2 * np.pi) if dt else total
