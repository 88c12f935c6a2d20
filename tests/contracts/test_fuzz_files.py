"""A few hundred hostile files of every format; `python tests/fuzz/files.py --files 2000` makes more."""

import sys

import pytest

from tests.fuzz.files import run


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory and time are the system's")
def test_hostile_files_are_refused_without_harm():
    answers = list(run(range(200)))
    assert len({answer["kind"] for answer in answers}) > 10
    assert [answer for answer in answers if answer["offences"]] == []
