"""Makes `python -m pyrnn` the command `pyrnn`; the options for C programs work without the extra cli."""

import sys

from pyrnn.cli import c_library


def main() -> None:
    """Runs the command line of this process; an error prints one sentence to standard error and exits with code 2."""
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
