"""Model order reduction of linear systems, and compression of state-space networks."""

from mor.adapters.checkpoints import read_checkpoint
from mor.adapters.control import to_control
from mor.adapters.files import load, save
from mor.adapters.scipy import to_scipy
from mor.analysis.dcgain import dcgain
from mor.analysis.gramians import FrequencyLimited, Infinite, TimeLimited
from mor.analysis.hankel import gramians, hankel_nuclear_norm, hankel_singular_values
from mor.analysis.hinf import Peak, hinf_norm, peak_gain
from mor.analysis.kernels import impulse_kernels, output_bound, transfer_kernels
from mor.analysis.norms import h2_error, h2_inner, h2_norm, hankel_norm
from mor.analysis.response import freqresp, impulse, simulate, step
from mor.analysis.zeros import normal_rank, zeros
from mor.equations.lyapunov import lyapunov_factor, solve_lyapunov
from mor.equations.sylvester import solve_sylvester
from mor.errors import MorError
from mor.reduction.balance import balance
from mor.reduction.balanced import balanced_truncation
from mor.reduction.h2.fixed_point import irka, tsia
from mor.reduction.h2.optimal import h2_optimal
from mor.reduction.minimal import minimal_realization
from mor.reduction.modal import modal_truncation, rank_modes
from mor.reduction.result import Reduction
from mor.reduction.splitting import split_stable
from mor.systems.block_diagonal import BlockDiagonal
from mor.systems.connect import append, feedback, series
from mor.systems.convert import as_system
from mor.systems.labels import Labels
from mor.systems.lqo import LQO
from mor.systems.lti import LTI
from mor.systems.modal import Modal

__version__ = "0.1.0"

__all__ = [
    "LQO",
    "LTI",
    "BlockDiagonal",
    "FrequencyLimited",
    "Infinite",
    "Labels",
    "Modal",
    "MorError",
    "Peak",
    "Reduction",
    "TimeLimited",
    "append",
    "as_system",
    "balance",
    "balanced_truncation",
    "dcgain",
    "feedback",
    "freqresp",
    "gramians",
    "h2_error",
    "h2_inner",
    "h2_norm",
    "h2_optimal",
    "hankel_norm",
    "hankel_nuclear_norm",
    "hankel_singular_values",
    "hinf_norm",
    "impulse",
    "impulse_kernels",
    "irka",
    "load",
    "lyapunov_factor",
    "minimal_realization",
    "modal_truncation",
    "normal_rank",
    "output_bound",
    "peak_gain",
    "rank_modes",
    "read_checkpoint",
    "save",
    "series",
    "simulate",
    "solve_lyapunov",
    "solve_sylvester",
    "split_stable",
    "step",
    "to_control",
    "to_scipy",
    "transfer_kernels",
    "tsia",
    "zeros",
]
