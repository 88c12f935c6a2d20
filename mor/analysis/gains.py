"""Gains over frequency, and a search for the largest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mor.arrays import EPS, TINY, is_complex, largest_entry, to_numpy
from mor.equations.boundary import ROUNDOFF, margins
from mor.equations.resolvent import in_parts
from mor.systems.base import System
from mor.systems.modal import Modal

#: From frequencies to the largest singular value at each.
Gains = Callable[[np.ndarray], np.ndarray]

#: Frequencies whose responses are in memory at once, at least.
_CHUNK = 16

#: Frequencies times inputs whose responses are in memory at once, where that is more.
_COLUMNS = 1024

#: Local maxima of the samples that are refined, at most, and the share of the best that makes one worth it.
_PEAKS, _PROMISING = 3, 0.7

#: Share of the best that a maximum must promise to be worth further steps.
_BELOW = 0.95

#: Steps of a local search, and the relative gain in 1 / sigma^2 that makes one worth it.
_STEPS, _FINE = 20, 1e-10


def largest_singular_value(response: np.ndarray) -> np.ndarray:
    """Of each matrix of a stack, from the eigenvalues of its square."""
    if 0 in response.shape[-2:]:
        return np.zeros(response.shape[:-2])
    scale = np.max(np.abs(response), axis=(-2, -1), keepdims=True, initial=TINY)
    scaled = response / scale
    if scaled.shape[-1] > scaled.shape[-2]:
        scaled = scaled.mT
    squares = _largest_eigenvalue(np.conj(scaled.mT) @ scaled)
    return np.sqrt(np.maximum(squares, 0.0)) * scale[..., 0, 0]


def _largest_eigenvalue(X: np.ndarray) -> np.ndarray:
    """Of each Hermitian matrix of a stack; up to two rows in closed form, without a cancellation."""
    if X.shape[-1] == 1:
        return np.real(X[..., 0, 0])
    if X.shape[-1] == 2:
        first, last = np.real(X[..., 0, 0]), np.real(X[..., 1, 1])
        return (first + last) / 2 + np.hypot((first - last) / 2, np.abs(X[..., 0, 1]))
    return np.linalg.eigvalsh(X)[..., -1]


class SystemGains:
    r"""Gains :math:`\sigma_1(G(i\omega))` or :math:`\sigma_1(G(e^{i\omega\,dt}))` of one system.

    A dense system shares the Schur form of its poles and Gramians
    (:mod:`mor.equations.transfer`), so that a frequency costs ``n^2 m`` instead of
    ``n^3`` flops; a modal one needs no preparation. The gain at ``omega = inf`` is that of D.
    """

    def __init__(self, system: System) -> None:
        self.modal = None if system.modal is None else _acting(system.modal)
        self.system: Any = system.to_lti() if self.modal is None else system

    @property
    def poles(self) -> np.ndarray:
        """As :func:`distinct_poles` gives them."""
        return distinct_poles(to_numpy(self.system.poles), self.is_real)

    @property
    def is_real(self) -> bool:
        """Whether frequencies of one sign tell all."""
        return self.system.is_real

    def __call__(self, omega: np.ndarray) -> np.ndarray:
        parts = in_parts(omega, max(_CHUNK, _COLUMNS // max(self.system.n_inputs, 1)))
        return np.concatenate([largest_singular_value(self.responses(part)) for part in parts])

    def responses(self, omega: np.ndarray) -> np.ndarray:
        """Frequency responses (len(omega), p, m)."""
        D, finite = to_numpy(self.system.D), np.isfinite(omega)
        found = np.empty((len(omega), *D.shape), dtype=complex)
        found[:] = D
        if self.system.order and finite.any():
            if self.modal is None:
                found[finite] += self.system.transfer(self._points(omega[finite]))
            else:
                found[finite] = to_numpy(self.modal.frequency_response(omega[finite]))
        return found

    def _points(self, omega: Any) -> Any:
        return np.exp(1j * omega * self.system.dt) if self.system.dt else 1j * omega

    def _states(self, s: complex) -> np.ndarray:
        """``(s - A)^{-1} B``, in the coordinates of computation."""
        if self.modal is None:
            return self.system.transfer.states(np.array([s]))[:, 0]
        poles, B = (to_numpy(x) for x in (self.modal.poles, self.modal.B))
        partner = B.conj() / (s - poles.conj())[:, None] if is_complex(B) else 0.0
        return np.abs(B / (s - poles)[:, None]) + np.abs(partner)

    def _terms(self, s: complex) -> float:
        """The size of the terms whose sum ``C (s - A)^{-1} B`` is."""
        C = self.system.transfer.C if self.modal is None else to_numpy(self.modal.C)
        return _size(C) * _size(self._states(s))

    def noise(self, omega: float) -> float:
        """What round-off may add to the gain at `omega`."""
        states = 0.0
        if self.system.order and np.isfinite(omega):
            states = self._terms(self._points(omega))
        return float(EPS * (_size(to_numpy(self.system.D)) + states))

    def roundoff(self, omega: np.ndarray) -> np.ndarray:
        r"""What the Schur form may have changed gains by, and the sums in its coordinates (N,).

        .. math:: \epsilon\,(\|A\| + |s|)\,\|C(s-A)^{-1}\|\,\|(s-A)^{-1}B\| +
                  \epsilon\,(\|C\|\,\|(s-A)^{-1}B\| + \|C(s-A)^{-1}\|\,\|B\|)
        """
        error = np.zeros(len(omega))
        finite = np.isfinite(omega)
        if not (self.system.order and finite.any()):
            return error
        if self.modal is not None:
            error[finite] += [ROUNDOFF * self._terms(s) for s in self._points(omega[finite])]
            return error
        form, transfer, s = self.system.schur, self.system.transfer, self._points(omega[finite])
        inputs = np.linalg.norm(transfer.states(s), axis=(0, 2))
        outputs = np.linalg.norm(transfer.costates(s), axis=(0, 2))
        B, C = _size(transfer.B), _size(transfer.C)
        noise = form.noise(s) + ROUNDOFF * np.abs(s)
        error[finite] += noise * inputs * outputs + ROUNDOFF * (C * inputs + B * outputs)
        return error


def _acting(system: Modal) -> Modal:
    """Without the modes that no input reaches or no output shows, whose poles may be on the boundary."""
    system = system.on_numpy()
    return system if np.all(system.working_modes) else system.of_modes(system.working_modes)


def _size(X: np.ndarray) -> float:
    """A limit of the Frobenius norm that cannot overflow before X does."""
    return largest_entry(X) * X.size**0.5


def distinct_poles(poles: Any, is_real: bool) -> Any:
    """All poles of a complex system; those of a real one with non-negative imaginary parts, for
    each its conjugate too."""
    poles = np.asarray(poles, dtype=complex).ravel()
    return np.where(poles.imag < 0, poles.conj(), poles) if is_real else poles


def first_frequencies(poles: Any, dt: float, samples: int, *, is_real: bool = True) -> np.ndarray:
    """A grid, and the frequencies of the poles nearest to the boundary, sorted.

    Frequencies of a real system are not negative; of a complex one they have either sign.
    """
    if dt:
        grid, margin = np.linspace(0, np.pi / dt, samples), np.abs(margins(poles, dt))
        own = np.angle(poles) / dt
    else:
        moduli = np.abs(poles)[np.abs(poles) > 0]
        low, high = (moduli.min() / 100, moduli.max() * 100) if len(moduli) else (1.0, 1.0)
        grid = np.concatenate([[0.0], np.geomspace(low, high, samples), [np.inf]])
        margin, own = np.abs(poles.real), poles.imag
    own = own[np.argsort(margin)[:samples]]
    if is_real:
        return np.unique(np.concatenate([grid, np.abs(own)]))
    return np.unique(np.concatenate([grid, -grid[np.isfinite(grid)], own]))


def widths(poles: Any, dt: float, omega: np.ndarray) -> np.ndarray:
    """Distance to the nearest of these :func:`distinct_poles`: a gain changes little over much less."""
    if not len(poles):
        return np.full(len(omega), np.inf)
    if dt:
        return np.min(np.abs(np.exp(1j * omega * dt)[:, None] - poles), axis=1) / dt
    return np.min(np.abs(omega[:, None] - poles / 1j), axis=1)


def search(gains: Gains, omega: np.ndarray, reach: np.ndarray) -> tuple[float, float, np.ndarray]:
    """``(gain, omega, gains at omega)``: the largest found.

    The three largest local maxima of the samples are refined, between their neighbours and within
    their `reach`, unless they are far below what the others have come to.
    """
    sampled = gains(omega)
    # A sample may hit a pole of no effect, whose residue is zero.
    sampled = np.where(np.isnan(sampled), 0.0, sampled)
    best, where = float(np.max(sampled)), float(omega[np.argmax(sampled)])
    around = np.concatenate([[-1.0], sampled, [-1.0]])
    tops = np.flatnonzero((sampled >= around[:-2]) & (sampled >= around[2:]) & np.isfinite(omega))
    for i in tops[np.argsort(-sampled[tops], kind="stable")[:_PEAKS]]:
        if sampled[i] < _PROMISING * best:
            break
        low = max(omega[max(i - 1, 0)], omega[i] - reach[i])
        high = min(omega[min(i + 1, len(omega) - 1)], omega[i] + reach[i])
        interval = float(low), float(omega[i]), float(high)
        gain, place = climb(gains, interval, float(sampled[i]), beat=_BELOW * best)
        if gain > best:
            best, where = gain, place
    return best, where, sampled


def climb(
    gains: Gains, interval: tuple[float, float, float], top: float, *, beat: float = 0.0
) -> tuple[float, float]:
    r"""``(gain, omega)`` of a local maximum: in an interval and about a point in it, of gain `top`.

    Successive parabolas through :math:`\sigma_1^{-2}`, which of one resonance is a parabola, so that few
    steps suffice; a step that leaves the interval or brings it no further halves it instead.
    A maximum that promises to be below `beat` is left as it is.
    """
    low, middle, high = interval
    if not (top > 0 and low < high):
        return top, middle
    ends = [w for w in (low, high) if w != middle]
    tried = [(float(f), w) for f, w in zip(_inverse_squares(gains(np.array(ends)), top), ends, strict=True)]
    tried = sorted([*tried, (1.0, middle)])
    for _ in range(_STEPS):
        f, best = tried[0]
        place, promise = _vertex(tried) if len(tried) > 2 else (np.inf, 0.0)
        if not low < place < high:
            place = (best + (low if best - low > high - best else high)) / 2
        elif f - promise < _FINE * f or (promise > 0 and top < beat * promise**0.5):
            break
        if not low < place < high or any(place == w for _, w in tried):
            break
        value = float(_inverse_squares(gains(np.array([place])), top)[0])
        edge, inside = (best, place) if value < f else (place, best)
        low, high = (low, edge) if inside < edge else (edge, high)
        tried = sorted([*tried[:2], (value, place)])
    f, best = tried[0]
    return top / f**0.5, best


def _inverse_squares(gains: np.ndarray, top: float) -> np.ndarray:
    with np.errstate(divide="ignore", over="ignore"):
        return np.minimum((top / gains) ** 2, 1e300)


def _vertex(tried: list[tuple[float, float]]) -> tuple[float, float]:
    """Where the parabola through three points has its minimum, and that."""
    (f, a), (g, b), (h, c) = tried
    slope, other = (g - f) / (b - a), (h - f) / (c - a)
    bend = (other - slope) / (c - b)
    if not bend > 0:
        return np.inf, f
    step = (b - a) / 2 - slope / (2 * bend)
    return a + step, f - bend * step**2


def sampled_peak(system: System, *, samples: int = 64) -> tuple[float, float]:
    """Largest gain found by sampling, over a batch the largest: a lower limit and its frequency."""
    constant: Any = system.detached()

    def gains(omega: np.ndarray) -> np.ndarray:
        responses = (to_numpy(constant.frequency_response(part)) for part in in_parts(omega, _CHUNK))
        found = [largest_singular_value(response) for response in responses]
        return np.concatenate([x.reshape(-1, x.shape[-1]).max(axis=0) for x in found])

    poles = distinct_poles(to_numpy(constant.poles), constant.is_real)
    omega = first_frequencies(poles, constant.dt, samples, is_real=constant.is_real)
    omega = omega[np.isfinite(omega)]
    best, where, _ = search(gains, omega, widths(poles, constant.dt, omega))
    return best, where
