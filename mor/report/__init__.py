"""What was found and done, for people (tables, plots) and for machines (plain data)."""

from mor.report.plots import plot_bode, plot_hsv, plot_poles, plot_sigma, plot_step

__all__ = ["plot_bode", "plot_hsv", "plot_poles", "plot_sigma", "plot_step"]
