"""Scripts that look for trouble at random, for as long as they are let: ``make fuzz``."""
