"""``python -m sr_lightning``: the list of commands, and ``python -m sr_lightning COMMAND ...`` runs one."""

import runpy
import sys

from sr_lightning.cli.help import commands, overview
from sr_lightning.errors import nearest


def main() -> None:
    """Runs the command that the first argument names, as ``python -m sr_lightning.COMMAND`` does."""
    command = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if command in ("-h", "--help"):
        print(overview())
    elif command not in commands():
        sys.exit(f"error: {command}: there is no such command; {nearest(command, commands())}")
    else:
        del sys.argv[1]
        # As a module of its own: the processes of a distributed run are started by its name.
        runpy.run_module(f"sr_lightning.{command}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
