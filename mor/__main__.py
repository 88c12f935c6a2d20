"""``python -m mor`` is the command ``mor``."""

import sys

from mor.errors import MissingDependencyError


def main() -> None:
    """Run the command, or say which packages it needs."""
    try:
        import rich  # noqa: F401  (what the commands print with)

        from mor.cli import main as run
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.stderr.write(
            "MissingDependencyError: the command mor needs typer and rich: pip install typer rich.\n"
        )
        sys.exit(MissingDependencyError.exit_code)
    run()


if __name__ == "__main__":
    main()
