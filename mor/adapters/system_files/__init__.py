"""Systems in files: MATLAB's, NumPy's, and sets of Matrix Market files."""

from mor.adapters.system_files.storage import load, save

__all__ = ["load", "save"]
