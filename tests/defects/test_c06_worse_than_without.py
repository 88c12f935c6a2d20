"""A reduction limited in time or frequency may be worse there than plain truncation: it was not said."""

import numpy as np
import pytest

import mor
from mor.analysis.gramians import gramians_of
from mor.report.reduction import reduction_report
from tests.defects.models import masses


def report_of(order, **limit):
    sys = masses(40)
    rom = mor.balanced_truncation(sys, order, **limit)
    return reduction_report(sys, rom, gramians_of(None, limit.get("horizon"), limit.get("band")))


@pytest.mark.slow
def test_it_is_said_where_it_is_so_and_only_there():
    worse = report_of(4, band=(0.0, 0.3))
    assert worse.h2_unlimited < worse.h2_error
    assert "without the limit" in worse.note
    better = report_of(8, band=(0.0, 0.3))
    assert better.h2_error < 0.1 * better.h2_unlimited
    assert better.note is None
    limited = report_of(4, horizon=10.0)
    assert np.isfinite(limited.h2_unlimited)
    assert np.isnan(report_of(4).h2_unlimited)
