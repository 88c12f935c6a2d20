"""Random calls of every public function and method: nothing but an answer, or a typed error.

    python tests/fuzz/calls.py --calls 60000 --seed 0
    python tests/fuzz/calls.py --seed 0 --only 1234        # one call again, with its traceback

Of each call it is asked that only a MorError is raised, and of functions and constructors only one that
their docstring speaks of, of methods where it speaks of any; that no warning is given but the library's own;
that no number of the result is NaN; that no array that was given is changed; and that it ends in time.
Systems are of all kinds, frameworks, precisions and magnitudes, arguments partly absurd. A number and a
seed make a call, whatever came before. Exits with 1 if anything was found, and says how to repeat it.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import mor
import mor.deep
import mor.examples
from mor.arrays import is_array, to_numpy
from mor.errors import MorError
from mor.reduction.balancing import Balancing
from tests.fuzz.arguments import MAKERS, Sizes
from tests.fuzz.documented import documented, is_documented
from tests.fuzz.values import Rng, absurd, family, in_framework, numpy_system, pick, system

#: Seconds of the processor that a call may take.
LIMIT = 20.0

#: Share of calls with an absurd argument, and of arguments with a default that are left out.
ABSURD, LEFT_OUT = 0.4, 0.7

#: How often the constructors and functions are called for one call of a method, and methods for a property.
FUNCTIONS, METHODS = 4.0, 3.0

#: Methods that rooms ask of a system, in coordinates of their own: with no checks, and not for users.
INTERNAL = {
    *("cross_solution", "project", "inner", "gramians_with_pullback", "with_outputs", "with_carrier"),
    *("observe", "moved", "in_units", "signal_exponents", "require_stable", "transfer", "extended"),
    *("band_gramians", "factors", "equivalent", "schur", "graded", "operator", "of_linear", "ramp_matrix"),
    *("controllability_factor", "observability_factor", "carrier", "gramians", "band_factors"),
    *("estimate", "margins", "pole_errors", "modal", "of_modes", "of_states", "mode_sizes", "outputs"),
    *("input_factor_matrix", "output_factor_matrix"),
}

#: What is public of a family of reductions.
FAMILY = {"truncate", "hsv", "bounds", "full_order", "kept", "minimal", "norm", "merits", "steps", "bounded"}

#: What calls return, and nobody makes.
RESULTS = (mor.Reduction, mor.Peak, mor.MorError, mor.deep.Compression)

#: Names of parameters that are systems.
SYSTEMS = ("sys", "a", "system", "obj", "G", "K")

#: Functions that take long, and the share of their turns that they are called in.
RARE = {"h2_optimal": 0.3, "tsia": 0.5, "irka": 0.5, "squared_outputs": 0.5, "advection_diffusion": 0.1}


class Target(NamedTuple):
    """What is called: a function, or the attribute of a system of some kind."""

    name: str
    owner: str | None
    function: Callable[..., Any] | None


class Outcome(NamedTuple):
    """What was wrong with a call."""

    rule: str
    detail: str
    trace: str


def targets() -> list[Target]:
    """Everything public."""
    from mor.analysis.nuclear_norm import nuclear_norm_gradient

    found = {name: getattr(mor, name) for name in mor.__all__}
    found |= {f"deep.{name}": getattr(mor.deep, name) for name in mor.deep.__all__}
    examples = {name: x for name, x in vars(mor.examples).items() if inspect.isfunction(x) and name[0] != "_"}
    found |= {f"examples.{name}": x for name, x in examples.items() if x.__module__ == "mor.examples"}
    found["nuclear_norm_gradient"] = nuclear_norm_gradient
    found |= {"series": _of_two(mor.series), "append": _of_two(mor.append)}
    for name, function in (("jax", "hankel_regularizer"), ("torch", "truncate")):
        if importlib.util.find_spec(name):
            module = importlib.import_module(f"mor.adapters.{name}")
            found[f"{name}.{function}"] = getattr(module, function)
    calls = [Target(name, None, x) for name, x in found.items() if callable(x) and x not in RESULTS]
    return [*calls, *_methods()]


def _of_two(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of any number of systems, given two."""

    def call(sys: Any, a: Any) -> Any:
        return function(sys, a)

    call.__doc__ = function.__doc__
    return call


def _methods() -> Iterator[Target]:
    kinds = {"LTI": mor.LTI, "Modal": mor.Modal, "BlockDiagonal": mor.BlockDiagonal, "LQO": mor.LQO}
    kinds |= {"Reduction": mor.Reduction, "Balancing": Balancing}
    arithmetic = ("__add__", "__radd__", "__sub__", "__rsub__", "__neg__", "__repr__", "__getitem__")
    for kind, cls in kinds.items():
        for name in dir(cls):
            public = name[0] != "_" or name in arithmetic
            if name in FAMILY if kind == "Balancing" else public and name not in INTERNAL:
                member = inspect.getattr_static(cls, name)
                if isinstance(member, classmethod):
                    yield Target(f"{kind}.{name}", None, getattr(cls, name))
                else:
                    yield Target(f"{kind}.{name}", kind, None)


class Fuzzer:
    """Calls by number."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.folder = seed, folder
        self.targets = targets()
        weights = np.array([_weight(target) for target in self.targets])
        self.shares = weights / np.sum(weights)
        self.frameworks = _frameworks()
        self.files = _files(folder)

    def call(self, number: int, *, show: bool = False) -> Outcome | None:
        """What is wrong with call `number`; None if nothing is."""
        rng = np.random.default_rng([self.seed, number])
        target = self._target(rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                subject = self._owner(rng, target.owner) if target.owner else None
                args, kwargs = self._arguments(rng, target, subject)
            except Exception as error:
                return _raised("while preparing", error)
        if show:
            print(target.name, "of", subject, "\n  args", args, "\n  kwargs", kwargs)
        before = _digest((subject, args, kwargs))
        start = time.process_time()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            outcome = _attempt(target, subject, args, kwargs)
        taken = time.process_time() - start
        if outcome is None:
            foreign = [w for w in caught if not w.category.__module__.startswith("mor")]
            if foreign:
                w = foreign[0]
                place = f"{Path(w.filename).name}:{w.lineno}"
                outcome = Outcome("warning", f"{w.category.__name__}: {str(w.message)[:60]} {place}", "")
            elif _digest((subject, args, kwargs)) != before:
                outcome = Outcome("input changed", target.name, "")
            elif taken > LIMIT:
                outcome = Outcome("slow", f"{taken:.1f} s", "")
        return outcome and outcome._replace(detail=f"{target.name}: {outcome.detail}")

    def _target(self, rng: Rng) -> Target:
        return self.targets[int(rng.choice(len(self.targets), p=self.shares))]

    def _owner(self, rng: Rng, kind: str) -> Any:
        for _ in range(30):
            try:
                if kind == "Balancing":
                    found = family(rng, self.frameworks)
                else:
                    found = in_framework(rng, numpy_system(rng, kind), self.frameworks)
            except MorError:
                continue
            if type(found).__name__ == kind:
                return found
        return mor.LTI([[-1.0]], [[1.0]], [[1.0]])

    def _arguments(self, rng: Rng, target: Target, subject: Any) -> tuple[list[Any], dict[str, Any]]:
        function = target.function
        if target.owner is not None:
            function = getattr(type(subject), target.name.rpartition(".")[2], None)
        if function is None or isinstance(function, property) or not callable(function):
            return [], {}
        parameters = [
            p
            for p in _parameters(function, bound=target.owner is not None)
            if p.default is p.empty or p.kind is not p.KEYWORD_ONLY or rng.random() >= LEFT_OUT
        ]
        odd = int(rng.integers(len(parameters))) if parameters and rng.random() < ABSURD else -1
        # What is no system is refused before anything else is looked at.
        if odd >= 0 and parameters[odd].name in SYSTEMS and rng.random() < 0.8:
            odd = -1
        args, kwargs, sizes = [], {}, Sizes(rng)
        for i, p in enumerate(parameters):
            value = absurd(rng) if i == odd else self._value(rng, p.name, subject, sizes)
            subject = value if p.name in SYSTEMS else subject
            if p.kind is p.KEYWORD_ONLY:
                kwargs[p.name] = value
            else:
                args.append(value)
        return args, kwargs

    def _value(self, rng: Rng, name: str, subject: Any, sizes: Sizes) -> Any:
        if name in SYSTEMS:
            return system(rng, self.frameworks)
        if name in ("b", "rom", "other") and subject is not None and rng.random() < 0.9:
            return self._beside(rng, subject)
        if name == "path":
            return self.folder / pick(rng, *self.files, "new.mat", "new.npz", "new.mtx", "none.txt", "")
        maker = MAKERS.get(name)
        return absurd(rng) if maker is None else maker(rng, subject, sizes)

    def _beside(self, rng: Rng, sys_: Any) -> Any:
        """A system to be compared with another: its reduction, itself, or any."""
        try:
            return mor.balanced_truncation(sys_) if rng.random() < 0.5 else sys_
        except MorError:
            return sys_ if rng.random() < 0.5 else system(rng, self.frameworks)


def _weight(target: Target) -> float:
    if target.owner is None:
        return FUNCTIONS * RARE.get(target.name.rpartition(".")[2], 1.0)
    cls: Any = {"Balancing": Balancing}.get(target.owner) or getattr(mor, target.owner)
    member = inspect.getattr_static(cls, target.name.rpartition(".")[2])
    return METHODS if inspect.isfunction(member) else 1.0


def _files(folder: Path) -> list[str]:
    """Files of each kind that can be read."""
    sys_ = mor.LTI([[-1.0, 1.0], [0.0, -2.0]], [[1.0], [1.0]], [[1.0, 0.0]])
    names = ["good.mat", "good.npz", "good.mtx"]
    for name in names:
        mor.save(folder / name, sys_)
    (folder / "bad.mat").write_bytes(b"no such thing")
    (folder / "bad.safetensors").write_bytes(b"\x08" + bytes(20))
    return [*names, "bad.mat", "bad.safetensors"]


def _parameters(function: Any, *, bound: bool) -> list[inspect.Parameter]:
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
    found = found[1:] if bound else found
    return [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _frameworks() -> dict[str, Any]:
    """What turns a NumPy array into one of each framework that is there; JAX, the slowest, now and then."""
    found: dict[str, Any] = {}
    try:
        import torch

        found["torch"] = torch.tensor
    except ImportError:
        pass
    try:
        import array_api_strict

        found["array-api-strict"] = array_api_strict.asarray
    except ImportError:
        pass
    try:
        import jax

        jax.config.update("jax_enable_x64", True)
        found["jax"] = jax.numpy.asarray
    except ImportError:
        pass
    return found


class OutOfTime(BaseException):
    """A call that does not end."""


def _alarm(*_: Any) -> None:
    raise OutOfTime


def _attempt(target: Target, subject: Any, args: list[Any], kwargs: dict[str, Any]) -> Outcome | None:
    # Of the processor's time: what else the machine does is not the call's fault.
    signal.signal(signal.SIGPROF, _alarm)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        result = _result(target, subject, args, kwargs)
        place = _nan(result)
        return Outcome("NaN", place, "") if place else None
    except MorError as error:
        if not str(error):
            return Outcome("no message", type(error).__name__, traceback.format_exc())
        called = target.function or getattr(type(subject), target.name.rpartition(".")[2], None)
        if (target.function is None and not documented(called)) or is_documented(error, called):
            return None
        return Outcome("not documented", f"{type(error).__name__}: {str(error)[:60]}", traceback.format_exc())
    except OutOfTime:
        return Outcome("no end", f"after {LIMIT:g} s", traceback.format_exc())
    except Exception as error:
        return _raised("", error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _raised(when: str, error: Exception) -> Outcome:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/mor/" in f.filename]
    last = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    trace = "".join(traceback.format_exception(error))
    return Outcome(type(error).__name__, f"{when} {last} {str(error)[:70]}".lstrip(), trace)


def _result(target: Target, subject: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if target.owner is None:
        return target.function(*args, **kwargs) if target.function else None
    member = getattr(subject, target.name.rpartition(".")[2], None)
    return member(*args, **kwargs) if callable(member) and not is_array(member) else member


def _nan(x: Any, place: str = "result", depth: int = 0) -> str:
    """Where a NaN is; empty if there is none."""
    if isinstance(x, float | complex):
        return place if x != x else ""
    if is_array(x):
        values = to_numpy(x)
        return place if values.dtype.kind in "fc" and np.any(np.isnan(values)) else ""
    if depth > 4:
        return ""
    parts: Iterator[tuple[str, Any]]
    if isinstance(x, dict):
        parts = ((str(k), v) for k, v in x.items())
    elif isinstance(x, tuple | list):
        parts = ((str(i), v) for i, v in enumerate(x))
    elif dataclasses.is_dataclass(x) and type(x).__module__.startswith("mor"):
        parts = ((f.name, getattr(x, f.name)) for f in dataclasses.fields(x))
    else:
        return ""
    return next(filter(None, (_nan(v, f"{place}.{k}", depth + 1) for k, v in parts)), "")


def _digest(x: Any, depth: int = 0) -> str:
    """Of all numbers in what is given."""
    if is_array(x):
        values = to_numpy(x)
        return hashlib.sha1(values.tobytes() if values.dtype != object else repr(values).encode()).hexdigest()
    if depth > 5 or isinstance(x, str | bytes):
        return repr(x)
    if isinstance(x, dict):
        return "".join(_digest(v, depth + 1) for v in x.values())
    if isinstance(x, tuple | list):
        return "".join(_digest(v, depth + 1) for v in x)
    if dataclasses.is_dataclass(x) and type(x).__module__.startswith("mor"):
        return "".join(_digest(getattr(x, f.name), depth + 1) for f in dataclasses.fields(x))
    return type(x).__name__


#: By what was wrong and where, the numbers of the calls.
Broken = dict[str, list[int]]


def run(calls: int, seed: int, first: int = 0, *, progress: bool = False) -> Broken:
    """What `calls` calls from number `first` on break, by what and where."""
    broken: Broken = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(seed, Path(folder))
        for number in range(first, first + calls):
            outcome = fuzzer.call(number)
            if outcome is not None:
                broken[f"{outcome.rule} | {outcome.detail}"].append(number)
            if progress and (number + 1) % 5000 == 0:
                print(f"{number + 1} calls, {len(broken)} kinds of trouble", flush=True)
    return broken


def main() -> int:
    """Run, and say what was found."""
    parser = argparse.ArgumentParser(description="Random calls of every public function and method.")
    parser.add_argument("--calls", type=int, default=60000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first call")
    parser.add_argument("--only", type=int, help="number of the one call to make, with its traceback")
    given = parser.parse_args()
    if given.only is not None:
        with tempfile.TemporaryDirectory() as folder:
            outcome = Fuzzer(given.seed, Path(folder)).call(given.only, show=True)
        print(outcome.rule, outcome.detail, outcome.trace, sep="\n") if outcome else print("nothing wrong")
        return 1 if outcome else 0
    start = time.perf_counter()
    broken = run(given.calls, given.seed, given.first, progress=True)
    for what, cases in sorted(broken.items(), key=lambda item: -len(item[1])):
        numbers = ", ".join(str(number) for number in cases[:4])
        print(f"{len(cases):5} {what}\n      --seed {given.seed} --only {numbers}")
    count = sum(len(cases) for cases in broken.values())
    taken = time.perf_counter() - start
    print(f"{given.calls} calls in {taken:.0f} s: {count} broke a rule, in {len(broken)} ways")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
