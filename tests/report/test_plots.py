"""Plots of several systems: every curve is the number it says it is."""

import numpy as np
import pytest

import mor
from mor.errors import ArgumentError, ArgumentTypeError, DimensionError, TimeStepError
from mor.report import plot_bode, plot_hsv, plot_poles, plot_sigma, plot_step

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def closed():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


A = np.array([[-0.1, 2.0, 0.0], [-2.0, -0.1, 0.0], [0.0, 0.0, -1.0]])
FULL = mor.LTI(
    A, np.ones((3, 2)), np.arange(3.0)[None, :], labels=mor.Labels(name="plant", inputs=["a", "b"])
)
ROM = mor.balanced_truncation(FULL, order=2)
SAMPLED = FULL.discretize(0.1)


def test_bode_is_gain_and_phase():
    omega = np.geomspace(0.01, 100, 50)
    axes = plot_bode(FULL, ROM, omega=omega, labels=["full", "reduced"])
    assert axes.shape == (2, 2)
    for system, k in ((FULL, 0), (ROM.system, 1)):
        response = mor.freqresp(system, omega)
        for j in range(2):
            line, phase = axes[0, j].lines[k], axes[1, j].lines[k]
            np.testing.assert_allclose(line.get_xdata(), omega)
            np.testing.assert_allclose(line.get_ydata(), np.abs(response[:, 0, j]), rtol=1e-9)
            np.testing.assert_allclose(
                np.exp(1j * np.radians(phase.get_ydata())),
                response[:, 0, j] / np.abs(response[:, 0, j]),
                atol=1e-9,
            )
            assert np.max(np.abs(np.diff(phase.get_ydata()))) < 180
    assert [text.get_text() for text in axes[0, 0].get_legend().get_texts()] == ["full", "reduced"]
    assert axes[0, 1].get_title() == "from b"


def test_bode_of_a_discrete_system_ends_at_its_nyquist_frequency():
    axes = plot_bode(FULL, SAMPLED)
    end = np.pi / 0.1
    assert np.max(axes[0, 0].lines[1].get_xdata()) <= end
    assert any(np.allclose(line.get_xdata(), end) for line in axes[0, 0].lines[2:])
    # A complex system has another line, for negative frequencies.
    turning = mor.LTI([[-1.0 + 5.0j]], [[1.0]], [[2.0]])
    lines = plot_bode(turning, omega=[1.0, 5.0])[0, 0].lines
    np.testing.assert_allclose(lines[0].get_ydata(), np.abs(2 / (1j * np.array([1.0, 5.0]) + 1 - 5j)))
    np.testing.assert_allclose(lines[1].get_ydata(), np.abs(2 / (-1j * np.array([1.0, 5.0]) + 1 - 5j)))


def test_step_responses_and_where_they_end():
    axes = plot_step(FULL, ROM, SAMPLED)
    assert axes.shape == (1, 2)
    for j in range(2):
        full, _, sampled = axes[0, j].lines
        times = full.get_xdata()
        np.testing.assert_allclose(full.get_ydata(), mor.step(FULL, times)[:, 0, j], atol=1e-9)
        # A zero-order hold is exact for a step, so that both agree at the samples.
        np.testing.assert_allclose(
            sampled.get_ydata(), mor.step(FULL, sampled.get_xdata())[:, 0, j], atol=1e-9
        )
        assert sampled.get_drawstyle() == "steps-post"
    # exp(-0.1 t) is below one hundredth after 46; the axis ends thereabouts.
    assert 40 < times[-1] < 150
    assert plot_step(FULL, t=3.0)[0, 0].lines[0].get_xdata()[-1] == 3.0
    fast = mor.LTI([[-1e-3, 0], [0, -10.0]], [[1e-9], [1.0]], [[1.0, 1.0]])
    assert plot_step(fast)[0, 0].lines[0].get_xdata()[-1] < 100
    for system in (
        ([[0.0]], [[1.0]], [[1.0]]),
        ([[2.0]], [[1.0]], [[1.0]]),
        (np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), [[1.0]]),
    ):
        assert np.all(np.isfinite(plot_step(system)[0, 0].lines[0].get_ydata()))


def test_poles_and_the_boundary():
    axes = plot_poles(FULL, ROM, labels=["full", "reduced"])
    found = axes.lines[0].get_xdata() + 1j * axes.lines[0].get_ydata()
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(FULL.poles))
    assert axes.get_xscale() == "linear"
    circle = plot_poles(SAMPLED).lines[1]
    np.testing.assert_allclose(np.hypot(circle.get_xdata(), circle.get_ydata()), 1.0)
    assert plot_poles(([[-1.0, 0], [0, -1e5]], [[1.0], [1]], [[1.0, 1]])).get_xscale() == "symlog"
    with pytest.raises(TimeStepError, match="draw them apart"):
        plot_poles(FULL, SAMPLED)


@pytest.mark.parametrize("plot", [plot_bode, plot_step, plot_poles])
def test_what_cannot_be_drawn(plot):
    batch = mor.Modal(-np.ones((2, 3)), np.ones((2, 3, 1)), np.ones((2, 1, 3)))
    for systems in ((), (batch,), ((-np.eye(2), np.zeros((2, 0)), np.eye(2)),)):
        with pytest.raises(DimensionError, match="one or more systems with inputs and outputs"):
            plot(*systems)
    with pytest.raises(DimensionError, match="labels has 1 entries for 2 systems"):
        plot(FULL, ROM, labels=["x"])


@pytest.mark.parametrize("plot", [plot_bode, plot_step])
def test_channels_must_agree(plot):
    with pytest.raises(DimensionError, match="1 x 1, 1 x 2"):
        plot(FULL, ([[-1.0]], [[1.0]], [[1.0]]))
    with pytest.raises(DimensionError, match="axes has 1 entries"):
        plot(FULL, axes=plt.subplots()[1])


def _ends(*systems):
    """Where the time axis ends; the curves are finite."""
    lines = plot_step(*systems)[0, 0].lines
    assert all(np.all(np.isfinite(line.get_ydata())) for line in lines)
    return max(line.get_xdata()[-1] for line in lines)


def _diagonal(*poles, dt=0.0):
    return mor.LTI(np.diag(poles), np.ones((len(poles), 1)), np.ones((1, len(poles))), dt=dt)


def test_the_time_axis_is_that_of_poles_told_from_the_boundary():
    # Round-off of an integrator, on either side of the boundary, says nothing about time.
    for roundoff in (1e-15, -1e-15, 4e-17, -4e-17):
        assert _ends(_diagonal(roundoff, -1.0)) == pytest.approx(7.0)
        assert _ends(_diagonal(0.3, roundoff, -1.0)) == pytest.approx(7 / 0.3)
        assert _ends(_diagonal(1 + roundoff, 0.5, dt=2.0)) == pytest.approx(20.0)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    assert _ends(mor.LTI(Q @ np.diag([0.0, -0.5, -1.0]) @ Q.T, Q[:, :1], Q[:1])) == pytest.approx(14.0)
    assert _ends(_diagonal(0.0)) == 10.0
    # The fastest growing pole ends the axis, also of the slow systems beside it.
    assert _ends(_diagonal(2.0, 1e-6, -1e-3)) == pytest.approx(3.5)
    assert _ends(_diagonal(2.0, -1.0), _diagonal(-1e-3)) == pytest.approx(3.5)
    assert _ends(_diagonal(1e100, 0.5, dt=1.0)) == 1.0
    # Growth that takes very much longer than all that decays is not waited for.
    assert _ends(mor.Modal([1e-12, -1.0], np.ones((2, 1)), np.ones((1, 2)))) == pytest.approx(7e3)
    assert _ends(mor.Modal([-5e-324, -1.0], np.ones((2, 1)), np.ones((1, 2)))) < 1e3
    # A sampled system beside a slow continuous one is not stepped for ever.
    assert _ends(_diagonal(-1e-9), _diagonal(0.5, dt=0.1)) == pytest.approx(500.0, rel=1e-3)


@pytest.mark.parametrize("plot", [plot_bode, plot_sigma])
@pytest.mark.parametrize(
    "omega", ["x", [1j], [np.nan], [np.inf], [], [-1, 2], [[1.0, 2.0]], [[1], [1, 2]], {}]
)
def test_frequencies_are_finite_and_not_negative(plot, omega):
    with pytest.raises(ArgumentError, match="omega") as refused:
        plot(FULL, omega=omega)
    assert refused.value.argument == "omega"


def test_frequencies_in_any_order():
    assert list(plot_bode(FULL, omega=(2, 1))[0, 0].lines[0].get_xdata()) == [1.0, 2.0]
    assert list(plot_sigma(FULL, omega=3).lines[0].get_xdata()) == [3.0]
    # All beyond the Nyquist frequency: nothing of that system is drawn.
    assert not len(plot_bode(SAMPLED, omega=[1e3])[0, 0].lines[0].get_xdata())


@pytest.mark.parametrize("t", ["x", [1, 2], 1j, -1, 0, np.nan, np.inf])
def test_the_end_of_the_time_axis_is_a_positive_number(t):
    for system in (FULL, SAMPLED):
        with pytest.raises(TimeStepError, match=r"^t=.* is not a (positive finite )?number"):
            plot_step(system, t=t)


def test_a_time_axis_of_too_many_samples():
    with pytest.raises(TimeStepError, match="a response of so many samples"):
        plot_step(SAMPLED, t=1e300)


@pytest.mark.parametrize(
    ("plot", "axes"),
    [(plot_bode, "axes"), (plot_step, "axes"), (plot_sigma, "ax"), (plot_poles, "ax"), (plot_hsv, "ax")],
)
def test_axes_and_labels_of_wrong_types(plot, axes):
    for value in ("x", 0, [1, 2], {}):
        with pytest.raises(ArgumentTypeError, match=f"^{axes}=.*no matplotlib axes"):
            plot(FULL, **{axes: value})
    if plot is not plot_hsv:
        for labels in (3, "x", True):
            with pytest.raises(ArgumentTypeError, match=r"^labels=.* is no list of names"):
                plot(FULL, labels=labels)
        plot(FULL, ROM, labels=np.array(["full", "reduced"]))
