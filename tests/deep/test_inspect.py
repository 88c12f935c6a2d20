"""What is said of a layer before anything is done to it."""

import numpy as np
import pytest

import mor
from mor.deep.inspect import ENERGY_LEVELS, inspect_layer, relative_bound


def layer(poles):
    ones = np.ones((len(poles), 1))
    return mor.Modal(poles, ones, ones.T, dt=1.0)


def test_states_that_hold_a_share_of_all():
    system = layer(np.array([0.9, 0.5 + 0.5j, 0.1]))
    found, hsv = inspect_layer("a", system), mor.hankel_singular_values(system)
    assert (found.states, found.modes, found.idle_modes, found.unstable_modes) == (4, 3, 0, 0)
    assert found.hsv_largest == pytest.approx(hsv[0])
    for level in ENERGY_LEVELS:
        count = found.states_for_energy[f"{level:g}"]
        assert np.sum(hsv[:count]) >= level * np.sum(hsv) > np.sum(hsv[: count - 1])


def test_an_unstable_layer_has_no_decay():
    found = inspect_layer("a", layer(np.array([1.1, 0.5])))
    assert (found.stable, found.unstable_modes, found.spectral_radius) == (False, 1, 1.1)
    assert found.hsv_largest is None
    assert found.states_for_energy is None


def test_a_bound_is_relative_to_what_no_gain_lies_below():
    assert relative_bound(2.0, np.array([np.inf, 4.0, 1.0])) == 0.5
    assert relative_bound(2.0, np.array([[4.0], [8.0]])) == 0.5
    assert relative_bound(None, np.ones(1)) is None
    assert relative_bound(2.0, np.zeros(0)) is None
