"""Empty batches, systems without modes and blocks without states raised bare errors."""

import numpy as np
import pytest

import mor
from mor.analysis.nuclear_norm import nuclear_norm_gradient
from mor.errors import DimensionError

REDUCTIONS = (
    mor.balanced_truncation,
    mor.modal_truncation,
    mor.minimal_realization,
    mor.split_stable,
)


def modal(batch, k, m=1, p=1, dt=1.0):
    B, C = np.ones((*batch, k, m)), np.ones((*batch, p, k)) + 0j
    return mor.Modal(0.5j * np.ones((*batch, k)), B, C, dt=dt)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("batch", [(0,), (2, 0)])
def test_an_empty_batch(batch):
    sys = modal(batch, 3)
    assert mor.h2_norm(sys).shape == mor.hankel_norm(sys).shape == mor.hinf_norm(sys).shape == batch
    assert mor.hankel_nuclear_norm(sys).shape == batch
    assert mor.hankel_singular_values(sys).shape == (*batch, 6)
    assert mor.freqresp(sys, [0.0, 1.0]).shape == (*batch, 2, 1, 1)
    assert mor.impulse(sys, 4).shape == (*batch, 4, 1, 1)
    for reduce in REDUCTIONS:
        with pytest.raises(DimensionError, match="no systems to reduce"):
            reduce(sys)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_a_batch_of_systems_without_modes(dt):
    sys = modal((2,), 0, dt=dt)
    assert mor.balanced_truncation(sys).system.batch_shape == (2,)
    assert mor.modal_truncation(sys).order == mor.minimal_realization(sys).order == 0
    assert [part.batch_shape for part in mor.split_stable(sys)] == [(2,), (2,)]
    np.testing.assert_array_equal(mor.h2_norm(sys), [0.0, 0.0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("blocks", [np.zeros((0, 2, 2)), np.zeros((3, 0, 0))])
def test_blocks_without_states(blocks):
    sys = mor.BlockDiagonal(blocks, np.zeros((0, 2)), np.zeros((1, 0)), [[1.0, 2.0]], dt=1.0)
    assert sys.order == 0
    assert mor.hankel_nuclear_norm(sys) == 0
    assert nuclear_norm_gradient(sys)[1]["blocks"].shape == sys.blocks.shape
    np.testing.assert_allclose(mor.h2_norm(sys), 5**0.5)
    np.testing.assert_array_equal(sys.evaluate(0.0), [[1.0, 2.0]])
    assert mor.gramians(sys)[0].shape == (0, 0)
    assert mor.balanced_truncation(sys).order == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("m", "p"), [(0, 1), (1, 0), (0, 0)])
def test_no_inputs_or_no_outputs(m, p):
    for sys in (modal((), 2, m, p), mor.LTI(0.5 * np.eye(2), np.ones((2, m)), np.ones((p, 2)), dt=1.0)):
        assert mor.h2_norm(sys) == mor.hankel_norm(sys) == 0
        assert mor.balanced_truncation(sys).order == mor.minimal_realization(sys).order == 0
        assert mor.simulate(sys, np.ones((3, m))).shape == (3, p)
        with pytest.raises(DimensionError, match="without inputs or outputs"):
            mor.hinf_norm(sys)
