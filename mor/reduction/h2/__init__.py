"""Reduction in the H2 norm: fixed points of its optimality conditions, and its minimisation."""
