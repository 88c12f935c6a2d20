"""The transfer function of a system, and its impulse response."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from mor.arrays import Array, namespace
from mor.checks import check_finite, check_overflow, guarded, numbers
from mor.errors import DimensionError, NotFiniteError, TimeStepError
from mor.operators.base import Operator, over_E
from mor.systems.arguments import check_count, check_points
from mor.systems.held import Held
from mor.systems.outputs import LinearOutputs, Outputs


class Responses(Held):
    """``x' = A x + B u`` or its discrete analogue, with outputs, and how these respond."""

    @property
    @abstractmethod
    def operator(self) -> Operator:
        """``x -> A x``, in the coordinates of :meth:`factors`."""

    @property
    def _input(self) -> Array:
        """B as :attr:`operator` takes it."""
        return self.B

    @cached_property
    def outputs(self) -> Outputs:
        """What is made of the state."""
        return LinearOutputs(self.C, self.D)

    @property
    def input_factor_matrix(self) -> Array:
        """B in those coordinates."""
        return over_E(self.operator, self._input)

    @guarded
    def evaluate(self, s: complex | Array) -> Array:
        """Transfer function at the points `s`.

        Parameters
        ----------
        s : complex number, or array (N,).

        Returns
        -------
        array (..., p, m), or (..., N, p, m)

        Raises
        ------
        QuadraticOutputError
            Of a system with quadratic outputs: take :func:`mor.transfer_kernels`.
        DimensionError
            If `s` has more axes; of a batch of systems other than Modals.
        NotFiniteError
            If a point is a pole, or NaN or infinite.
        """
        C, points = self.outputs.matrix("a transfer function"), check_points(s)
        value = self.operator.transfer(points if points.ndim else points[None], self._input, C)
        value = value + self.D[..., None, :, :]
        try:
            check_overflow(None, value)
        except NotFiniteError:
            raise NotFiniteError(
                "the transfer function is infinite: a point is a pole, or the result overflows double "
                "precision in these units of the signals."
            ) from None
        return value[..., 0, :, :] if points.ndim == 0 else value

    @guarded
    def impulse_response(self, steps: int) -> Array:
        """``C A^t B`` for t = 0..steps-1, of a discrete system; D is not part of it.

        Parameters
        ----------
        steps : number of samples.

        Returns
        -------
        array (..., steps, p, m)

        Raises
        ------
        TimeStepError
            Of a continuous system; if `steps` is no whole number from 1, or takes too much memory.
        QuadraticOutputError
            Of a system with quadratic outputs: take :func:`mor.impulse_kernels`.
        NotFiniteError
            If the response overflows.
        """
        if not self.dt:
            raise TimeStepError("impulse_response samples a discrete system; take discretize(step) first.")
        steps, C = check_count("steps", steps, self), self.outputs.matrix("one impulse response")
        result = namespace(C).stack(list(self._impulse_samples(C, steps)), axis=-3)
        check_overflow(None, result)
        return result

    def _impulse_samples(self, C: Array, steps: int) -> Iterator[Array]:
        """``C A^t B`` for t < steps."""
        state = self.input_factor_matrix
        for _ in range(steps):
            yield C @ state
            state = self.operator.apply(state)

    @guarded
    def frequency_response(self, omega: Array) -> Array:
        """``G(i omega)``, or ``G(exp(i omega dt))`` in discrete time.

        Parameters
        ----------
        omega : number or array (N,), in radians per unit of time.

        Returns
        -------
        array (..., p, m), or (..., N, p, m)

        Raises
        ------
        QuadraticOutputError, DimensionError, NotFiniteError
            As :meth:`evaluate`.
        """
        omega = numbers("omega", omega, kinds="biuf").astype(float)
        if omega.ndim > 1:
            raise DimensionError(f"omega has shape {omega.shape}; it must be one or (N,).", argument="omega")
        check_finite(omega=omega)
        return self.evaluate(np.exp(1j * omega * self.dt) if self.dt else 1j * omega)
