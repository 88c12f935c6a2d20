"""Matrix equations on plain arrays: one file an equation or structure."""
