"""A small share of ``make fuzz``: random calls of every public function give an answer or a typed error."""

import json

import pytest

from tests.fuzz.calls import run, targets


@pytest.mark.slow
def test_random_calls():
    broken = run(1500, seed=2024)
    assert not broken, json.dumps(broken, indent=1)


def test_every_public_name_is_called():
    import mor
    import mor.deep

    names = {target.name for target in targets()}
    results = {"MorError", "Peak", "Reduction", "deep.Compression"}
    assert set(mor.__all__) | {f"deep.{name}" for name in mor.deep.__all__} <= names | results
