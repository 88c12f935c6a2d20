"""Model order reduction of linear systems, and compression of state-space networks.

A name is imported when it is first used, so that ``import mor`` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mor.version import __version__ as __version__

if TYPE_CHECKING:  # The table below for type checkers, which cannot read it.
    from mor.adapters.checkpoints import read_checkpoint as read_checkpoint
    from mor.adapters.control import to_control as to_control
    from mor.adapters.scipy import to_scipy as to_scipy
    from mor.adapters.system_files import load as load
    from mor.adapters.system_files import save as save
    from mor.analysis.dcgain import dcgain as dcgain
    from mor.analysis.gramians import FrequencyLimited as FrequencyLimited
    from mor.analysis.gramians import Infinite as Infinite
    from mor.analysis.gramians import TimeLimited as TimeLimited
    from mor.analysis.gramians import Weighted as Weighted
    from mor.analysis.hankel import gramians as gramians
    from mor.analysis.hankel import hankel_singular_values as hankel_singular_values
    from mor.analysis.hinf import Peak as Peak
    from mor.analysis.hinf import hinf_norm as hinf_norm
    from mor.analysis.hinf import peak_gain as peak_gain
    from mor.analysis.kernels import impulse_kernels as impulse_kernels
    from mor.analysis.kernels import output_bound as output_bound
    from mor.analysis.kernels import transfer_kernels as transfer_kernels
    from mor.analysis.norms import h2_error as h2_error
    from mor.analysis.norms import h2_inner as h2_inner
    from mor.analysis.norms import h2_norm as h2_norm
    from mor.analysis.norms import hankel_norm as hankel_norm
    from mor.analysis.nuclear_norm import hankel_nuclear_norm as hankel_nuclear_norm
    from mor.analysis.response import freqresp as freqresp
    from mor.analysis.response import impulse as impulse
    from mor.analysis.response import simulate as simulate
    from mor.analysis.response import step as step
    from mor.analysis.zeros import normal_rank as normal_rank
    from mor.analysis.zeros import zeros as zeros
    from mor.equations.lyapunov import lyapunov_factor as lyapunov_factor
    from mor.equations.lyapunov import solve_lyapunov as solve_lyapunov
    from mor.equations.sylvester import solve_sylvester as solve_sylvester
    from mor.errors import MorError as MorError
    from mor.reduction.balance import balance as balance
    from mor.reduction.balanced import balanced_truncation as balanced_truncation
    from mor.reduction.h2.fixed_point import irka as irka
    from mor.reduction.h2.fixed_point import tsia as tsia
    from mor.reduction.h2.optimal import h2_optimal as h2_optimal
    from mor.reduction.minimal import minimal_realization as minimal_realization
    from mor.reduction.modal import modal_truncation as modal_truncation
    from mor.reduction.modal import rank_modes as rank_modes
    from mor.reduction.result import Reduction as Reduction
    from mor.reduction.splitting import split_stable as split_stable
    from mor.systems.block_diagonal import BlockDiagonal as BlockDiagonal
    from mor.systems.connect import append as append
    from mor.systems.connect import feedback as feedback
    from mor.systems.connect import series as series
    from mor.systems.convert import as_system as as_system
    from mor.systems.labels import Labels as Labels
    from mor.systems.lqo import LQO as LQO
    from mor.systems.lti import LTI as LTI
    from mor.systems.modal import Modal as Modal
    from mor.systems.sparse import SparseLTI as SparseLTI

#: Where each public name is defined.
_DEFINED_IN = {
    "BlockDiagonal": "mor.systems.block_diagonal",
    "FrequencyLimited": "mor.analysis.gramians",
    "Infinite": "mor.analysis.gramians",
    "LQO": "mor.systems.lqo",
    "LTI": "mor.systems.lti",
    "Labels": "mor.systems.labels",
    "Modal": "mor.systems.modal",
    "MorError": "mor.errors",
    "Peak": "mor.analysis.hinf",
    "Reduction": "mor.reduction.result",
    "SparseLTI": "mor.systems.sparse",
    "TimeLimited": "mor.analysis.gramians",
    "Weighted": "mor.analysis.gramians",
    "append": "mor.systems.connect",
    "as_system": "mor.systems.convert",
    "balance": "mor.reduction.balance",
    "balanced_truncation": "mor.reduction.balanced",
    "dcgain": "mor.analysis.dcgain",
    "feedback": "mor.systems.connect",
    "freqresp": "mor.analysis.response",
    "gramians": "mor.analysis.hankel",
    "h2_error": "mor.analysis.norms",
    "h2_inner": "mor.analysis.norms",
    "h2_norm": "mor.analysis.norms",
    "h2_optimal": "mor.reduction.h2.optimal",
    "hankel_norm": "mor.analysis.norms",
    "hankel_nuclear_norm": "mor.analysis.nuclear_norm",
    "hankel_singular_values": "mor.analysis.hankel",
    "hinf_norm": "mor.analysis.hinf",
    "impulse": "mor.analysis.response",
    "impulse_kernels": "mor.analysis.kernels",
    "irka": "mor.reduction.h2.fixed_point",
    "load": "mor.adapters.system_files",
    "lyapunov_factor": "mor.equations.lyapunov",
    "minimal_realization": "mor.reduction.minimal",
    "modal_truncation": "mor.reduction.modal",
    "normal_rank": "mor.analysis.zeros",
    "output_bound": "mor.analysis.kernels",
    "peak_gain": "mor.analysis.hinf",
    "rank_modes": "mor.reduction.modal",
    "read_checkpoint": "mor.adapters.checkpoints",
    "save": "mor.adapters.system_files",
    "series": "mor.systems.connect",
    "simulate": "mor.analysis.response",
    "solve_lyapunov": "mor.equations.lyapunov",
    "solve_sylvester": "mor.equations.sylvester",
    "split_stable": "mor.reduction.splitting",
    "step": "mor.analysis.response",
    "to_control": "mor.adapters.control",
    "to_scipy": "mor.adapters.scipy",
    "transfer_kernels": "mor.analysis.kernels",
    "tsia": "mor.reduction.h2.fixed_point",
    "zeros": "mor.analysis.zeros",
}

#: Packages and modules that ``import mor`` is enough for.
_SUBMODULES = (
    "adapters",
    "analysis",
    "deep",
    "equations",
    "errors",
    "examples",
    "operators",
    "reduction",
    "report",
    "systems",
    "testing",
)

__all__ = sorted(_DEFINED_IN)  # pyright: ignore[reportUnsupportedDunderAll]


if not TYPE_CHECKING:  # Type checkers would take any name for known.

    def __getattr__(name: str) -> Any:
        if name in _SUBMODULES:
            return importlib.import_module(f"mor.{name}")
        if name not in _DEFINED_IN:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(_DEFINED_IN[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
