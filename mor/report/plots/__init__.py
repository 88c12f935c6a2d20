"""Plots; matplotlib is imported when the first is drawn."""

from mor.report.plots.frequency import plot_bode, plot_sigma
from mor.report.plots.hsv import plot_hsv
from mor.report.plots.poles import plot_poles
from mor.report.plots.time import plot_step

__all__ = ["plot_bode", "plot_hsv", "plot_poles", "plot_sigma", "plot_step"]
