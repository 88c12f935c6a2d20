"""``python -m mor`` is the command ``mor``."""

from mor.cli import main

if __name__ == "__main__":
    main()
