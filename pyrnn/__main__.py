"""`python -m pyrnn` is the command `pyrnn`. Only what C programs are built with is told without the extra cli."""

import sys

from pyrnn.cli import c_library


def main() -> None:
    """Runs the command line of this process; an error is one sentence on standard error and exit code 2."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in c_library.OPTIONS:
        from pyrnn.cli.app import main as command

        return command()
    try:
        c_library.main(arguments)
    except OSError as error:
        print(f"pyrnn: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
