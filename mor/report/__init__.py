"""What was found and done, for people (tables, plots) and for machines (plain data)."""

from mor.report.plots import plot_hsv, plot_sigma

__all__ = ["plot_hsv", "plot_sigma"]
