"""What goes wrong says where, and stays the error that it was."""

import pickle

import pytest

import mor
from mor.errors import CheckpointError, MissingDependencyError, MorError, TimeStepError, at


class Peculiar(CheckpointError):
    """An error with a constructor and an attribute of its own."""

    def __init__(self, layer: int, pole: complex) -> None:
        super().__init__(f"pole {pole}", layer, argument="sys")
        self.pole = pole


def test_type_attributes_and_arguments_are_kept():
    with pytest.raises(Peculiar) as caught, at("layer a"):
        raise Peculiar(3, 2j)
    error = caught.value
    assert str(error.args[0]).startswith("layer a: ")
    assert (error.args[1:], error.pole, error.argument) == ((3,), 2j, "sys")
    assert isinstance(error.__cause__, Peculiar)


def test_places_stand_one_in_the_other():
    with (
        pytest.raises(TimeStepError, match=r"^step 2: layer a: no\.$") as caught,
        at("step 2"),
        at("layer a"),
    ):
        raise TimeStepError("no.", argument="horizon")
    assert caught.value.argument == "horizon"
    assert str(pickle.loads(pickle.dumps(caught.value))) == "step 2: layer a: no."


def test_an_error_with_a_message_of_its_own_kind():
    with pytest.raises(MissingDependencyError, match=r"^model: PyTorch is needed"), at("model"):
        raise MissingDependencyError("PyTorch is needed")


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError, match=r"^division"), at("layer a"):
        _ = 1 / 0


def test_the_argument_of_a_layer_reaches_the_caller(tmp_path):
    mor.save(tmp_path / "a.mat", ([[-1.0]], [[1.0]], [[2.0]]))
    with pytest.raises(MorError) as caught:
        mor.load(tmp_path / "a.mat", dt=-1.0)
    assert caught.value.argument == "dt"
    assert str(caught.value).startswith(f"{tmp_path / 'a.mat'}: ")
