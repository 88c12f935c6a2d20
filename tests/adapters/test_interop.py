"""Systems of other libraries go in and come back: numbers, names, time, precision."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import scipy.sparse
from hypothesis import given

import mor
from mor.errors import ArgumentTypeError, DimensionError, NotASystemError, ReductionError
from mor.report import plot_hsv, plot_sigma
from mor.testing import lti_systems, modal_systems
from tests.oracles.dense import random_stable

PAGE = Path(__file__).parents[2] / "docs" / "from-other-tools.md"
NAMES = mor.Labels(inputs=["force", "torque"], outputs=["angle"], name="arm")


def arm(dt=0.0, n=6, **options):
    rng = np.random.default_rng(3)
    matrices = random_stable(rng, n, dt), rng.standard_normal((n, 2)), rng.standard_normal((1, n))
    return mor.LTI(*matrices, dt=dt, labels=NAMES, **options)


@given(lti_systems())
def test_scipy_round_trip(sys):
    back = mor.as_system(mor.to_scipy(sys))
    for name in "ABCD":
        np.testing.assert_array_equal(getattr(back, name), getattr(sys, name))
    assert back.dt == sys.dt


@given(lti_systems())
def test_control_round_trip(sys):
    pytest.importorskip("control")
    back = mor.as_system(mor.to_control(sys))
    for name in "ABCD":
        np.testing.assert_array_equal(getattr(back, name), getattr(sys, name))
    assert (back.dt, back.labels) == (sys.dt, None)


@pytest.mark.parametrize("dt", [0.0, 0.1])
def test_labels_and_time_survive_every_reduction(dt):
    control = pytest.importorskip("control")
    full = arm(dt)
    given = control.ss(
        full.A, full.B, full.C, full.D, dt, inputs=["force", "torque"], outputs=["angle"], name="arm",
        states=list("abcdef"),
    )  # fmt: skip
    assert mor.to_control(mor.as_system(given)).state_labels == list("abcdef")
    for rom in (
        mor.balanced_truncation(given, order=3),
        mor.modal_truncation(given, order=3),
        mor.tsia(given, 3),
        mor.h2_optimal(given, 3),
        mor.balanced_truncation(mor.Modal.from_lti(mor.as_system(given)), order=3),
    ):
        back = mor.to_control(rom)
        assert back.input_labels == ["force", "torque"]
        assert (back.output_labels, back.name, back.dt) == (["angle"], "arm", dt)
        assert back.nstates == rom.order
        points = np.array([0.3, 2.0])
        expected = mor.freqresp(rom, points)
        np.testing.assert_allclose(
            back(np.exp(1j * points * dt) if dt else 1j * points), np.moveaxis(expected, 0, -1)
        )


def test_names_that_python_control_made_up_are_none():
    control = pytest.importorskip("control")
    assert mor.as_system(control.ss([[-1]], [[1]], [[1]], 0)).labels is None


@pytest.mark.parametrize(("dt", "read"), [(None, 0.0), (True, 1.0), (0, 0.0), (0.5, 0.5)])
def test_unspecified_time_steps(dt, read):
    control = pytest.importorskip("control")
    assert mor.as_system(control.ss([[-0.5]], [[1]], [[1]], 0, dt)).dt == read


def test_transfer_functions():
    control = pytest.importorskip("control")
    for tf in (control.tf([1], [1, 0.2, 1]), scipy.signal.TransferFunction([1], [1, 0.2, 1])):
        np.testing.assert_allclose(mor.freqresp(tf, 2.0), [[1 / (1 - 4 + 0.4j)]], rtol=1e-12)


def test_single_precision_comes_back():
    rng = np.random.default_rng(0)
    A, B, C = (x.astype(np.float32) for x in (random_stable(rng, 4, 0.0), np.ones((4, 1)), np.ones((1, 4))))
    given = scipy.signal.StateSpace(A, B, C, np.zeros((1, 1), np.float32))
    rom = mor.balanced_truncation(given, order=2)
    assert rom.system.A.dtype == np.float64
    assert mor.to_scipy(rom).A.dtype == np.float32
    assert mor.to_scipy(rom, dtype=float).A.dtype == np.float64
    assert mor.to_scipy(mor.LTI(A.astype(float), B, C)).A.dtype == np.float64


def test_E_is_divided_out():
    E = np.eye(6) + 0.1
    sys = arm(E=E)
    np.testing.assert_allclose(mor.freqresp(mor.to_scipy(sys), [0.5, 3.0]), mor.freqresp(sys, [0.5, 3.0]))
    with pytest.raises(ReductionError, match="singular"):
        mor.to_scipy(arm(E=np.zeros((6, 6))))


def test_batches_do_not_go():
    batch = mor.Modal(-np.ones((2, 3)), np.ones((2, 3, 1)), np.ones((2, 1, 3)))
    with pytest.raises(DimensionError, match="batch"):
        mor.to_scipy(batch)
    with pytest.raises(DimensionError, match="batch"):
        plot_sigma(batch)


@pytest.mark.slow
@given(modal_systems())
def test_a_reduction_is_its_system(sys):
    assert mor.as_system(
        mor.balanced_truncation(sys[(0,) * len(sys.batch_shape)] if sys.batch_shape else sys)
    )


class PymorModel:
    """What pyMOR's LTIModel has of its interface."""

    def __init__(self, *matrices, sampling_time=0.0):
        self.matrices, self.sampling_time = matrices, sampling_time
        self.A = self.B = self.C = self.D = self.E = object()

    def to_matrices(self, format=None, mu=None):
        return self.matrices


def test_pymor_models():
    sys = arm(0.1, E=np.eye(6) + 0.1)
    model = PymorModel(
        scipy.sparse.csc_array(sys.A), sys.B, sys.C, None, scipy.sparse.csc_array(sys.E), sampling_time=0.1
    )
    read = mor.as_system(model)
    for name in "ABCE":
        np.testing.assert_array_equal(getattr(read, name), getattr(sys, name))
    assert read.dt == 0.1
    with pytest.raises(NotASystemError, match="to_matrices"):
        mor.as_system(PymorModel(*"MEKBCCD"))
    large = scipy.sparse.eye_array(6000, format="csc")
    with pytest.raises(DimensionError, match="5000"):
        mor.as_system(PymorModel(-large, np.ones((6000, 1)), np.ones((1, 6000)), None, None))


def test_labels_of_sums_duals_and_changes():
    sys = arm()
    other = mor.LTI(sys.A, sys.B, sys.C, labels=mor.Labels(inputs=["force", "torque"], outputs=["speed"]))
    assert (sys - sys).labels == NAMES
    assert (sys + other).labels == mor.Labels(inputs=["force", "torque"], name="arm")
    assert (sys + mor.LTI(sys.A, sys.B, sys.C)).labels == NAMES
    assert (-sys).labels == sys.discretize(0.1).labels == mor.Modal.from_lti(sys).to_lti().labels == NAMES
    assert mor.Modal.from_lti(sys).dual().labels.inputs == ("angle",)
    assert repr(sys) == "<LTI 'arm' order 6, 2 inputs (force, torque), 1 outputs (angle), dt=0>"


@pytest.mark.parametrize("labels", [{"inputs": ["one"]}, {"outputs": "y"}, {"states": ["a"]}, {"name": 3}])
def test_labels_that_do_not_fit(labels):
    with pytest.raises((DimensionError, ArgumentTypeError)):
        mor.LTI(np.eye(2), np.ones((2, 2)), np.ones((1, 2)), labels=mor.Labels(**labels))


def test_plots_draw_what_they_say():
    pytest.importorskip("matplotlib").use("Agg")
    sys = arm()
    rom = mor.balanced_truncation(sys, order=2)
    kept, removed, bound, _ = plot_hsv(rom).lines
    np.testing.assert_allclose(np.r_[kept.get_ydata(), removed.get_ydata()], rom.hsv)
    np.testing.assert_allclose(bound.get_ydata()[2], rom.error_bound)
    omega = np.array([0.1, 1.0, 10.0])
    lines = plot_sigma(sys, rom, omega=omega, labels=["full", "reduced"]).lines
    for line, model in zip(lines, (sys, rom), strict=True):
        gains = np.linalg.svd(mor.freqresp(model, omega), compute_uv=False)
        np.testing.assert_allclose(line.get_ydata(), gains[:, 0], rtol=1e-10)
    assert max(plot_sigma(arm(0.1)).lines[0].get_xdata()) <= np.pi / 0.1
    quadratic = mor.LQO(sys, np.eye(6)[None])
    for without_bound in (quadratic, mor.balanced_truncation(quadratic, order=2)):
        legend = plot_hsv(without_bound).get_legend_handles_labels()[1]
        assert "error bound of order r" not in legend
    assert "error bound of order r" in plot_hsv(sys).get_legend_handles_labels()[1]
    with pytest.raises(DimensionError):
        plot_sigma()


def test_every_name_on_the_page_exists():
    names = set(re.findall(r"`mor\.([\w.]+)", PAGE.read_text()))
    assert len(names) > 25
    for name in names:
        found = mor
        for part in name.split("."):
            found = getattr(found, part)
    assert callable(mor.LTI.discretize)


def test_differences_take_whatever_is_a_system():
    full = mor.LTI(np.diag([-1.0, -2.0, -3.0]), np.ones((3, 1)), np.ones((1, 3)))
    rom = mor.balanced_truncation(full, order=1)
    foreign = scipy.signal.StateSpace(full.A, full.B, full.C, full.D)
    expected = mor.h2_norm(full - rom.system)
    np.testing.assert_allclose(mor.h2_norm(full - rom), expected, rtol=1e-12)
    np.testing.assert_allclose(mor.h2_norm(mor.as_system(foreign) - rom), expected, rtol=1e-12)
    np.testing.assert_allclose(mor.h2_norm(rom.system - foreign), expected, rtol=1e-12)
    with pytest.raises(NotASystemError, match="int"):
        full - 3


def test_what_has_no_state_space_is_said():
    control = pytest.importorskip("control")
    for foreign in (control.tf([1, 0, 0], [1, 2]), control.frd([1, 2], [1, 2])):
        with pytest.raises(NotASystemError, match="no state space"):
            mor.as_system(foreign)


def test_near_misses_are_told_what_to_do():
    with pytest.raises(NotASystemError, match="fifth entry"):
        mor.as_system(([[-1.0]], [[1.0]], [[1.0]], [[0.0]], 0.1))

    class Layer:
        def system(self):
            return None

    with pytest.raises(NotASystemError, match=r"method system\(\)"):
        mor.as_system(Layer())
