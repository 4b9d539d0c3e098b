"""The command line `parrot`: finds the group that was asked for, imports only that, and lets tyro parse the rest.

Whoever adds a group adds a module to `parrot.commands` and a row to `GROUPS`.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from parrot.errors import ConfigError, ParrotError

__all__ = ["GROUPS", "main"]

GROUPS = {
    "launch": "parrot.commands.launch",
    "doctor": "parrot.commands.doctor",
    "train": "parrot.commands.rl",
    "export": "parrot.commands.export",
    "deploy": "parrot.commands.deploy",
    "reward": "parrot.commands.reward",
    "data": "parrot.commands.data",
    "prior": "parrot.commands.prior",
    "sim": "parrot.commands.sim",
    "experiment": "parrot.commands.experiment",
    "bench": "parrot.commands.bench",
    "tasks": "parrot.commands.sim:tasks",
    "summary": "parrot.commands.summary",
}
"""Group -> module, or module:command. A module with a single command is that command: not `parrot train train`."""

LEVELS = {"-v": logging.DEBUG, "--verbose": logging.DEBUG, "-q": logging.WARNING, "--quiet": logging.WARNING}

log = logging.getLogger("parrot")


def available() -> list[str]:
    """The groups whose module is there, in the order of `GROUPS`."""
    return [group for group, target in GROUPS.items() if importlib.util.find_spec(target.partition(":")[0])]


def summary_line(group: str) -> str:
    """First line of the group's docstring, read without importing its module: help must not wait for torch.

    What stands before a colon repeats the command (`parrot data`: …), which the list of groups shows already.
    """
    module, _, command = GROUPS[group].partition(":")
    spec = importlib.util.find_spec(module)
    file = spec.origin if spec else None
    assert file, f"{module} has no source"
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    docstring = ast.get_docstring(functions[command] if command else tree) or ""
    line = docstring.partition("\n")[0].rpartition("`: ")[2]
    return line[:1].upper() + line[1:]


def print_help() -> None:
    """Prints the groups, one line each."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print("usage: parrot [-h] [--version] [-v | -q] COMMAND ...\n", markup=False, highlight=False)
    console.print("Data-driven behavioral priors for reinforcement learning on robot arms.\n")
    table = Table.grid(padding=(0, 2))
    for group in available():
        table.add_row(Text(f"  {group}", style="bold"), Text(summary_line(group)))
    table.add_row()
    table.add_row(Text("  -v, --verbose"), Text("log more"))
    table.add_row(Text("  -q, --quiet"), Text("log warnings and errors only"))
    table.add_row(Text("  --version"), Text("print the version and end"))
    console.print(table)
    console.print("\nEvery command explains itself: parrot COMMAND --help", highlight=False)


def set_up_logging(level: int) -> None:
    """Log lines go to stderr, so that stdout stays what a command prints."""
    from rich.console import Console
    from rich.logging import RichHandler

    handler = RichHandler(console=Console(stderr=True), show_path=False, omit_repeated_times=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", datefmt="[%X]", handlers=[handler], force=True)
    log.setLevel(level)


def takes_raw_arguments(command: Callable[..., Any]) -> bool:
    """Whether a command parses for itself: its one parameter is called `argv` (`key:=value` is not tyro's language)."""
    return list(inspect.signature(command).parameters) == ["argv"]


def run(group: str, arguments: Sequence[str]) -> object:
    """Runs one group's command; its return value is the exit status if it is an int, else 0.

    Raises:
        ConfigError: there is no such group.
        ParrotError: what the command raises.
    """
    if group not in available():
        raise ConfigError(f"there is no command {group!r}; choose one of {', '.join(available())}")
    module, _, name = GROUPS[group].partition(":")
    commands: dict[str, Callable[..., Any]] = importlib.import_module(module).COMMANDS
    if name:
        commands = {name: commands[name]}
    program = f"parrot {group}"
    if len(commands) > 1:
        import tyro

        description = summary_line(group)
        return tyro.extras.subcommand_cli_from_dict(
            commands, prog=program, description=description, args=list(arguments)
        )
    (command,) = commands.values()
    if takes_raw_arguments(command):
        return command(list(arguments))
    import tyro

    return tyro.cli(command, prog=program, args=list(arguments))


def dispatch(arguments: Sequence[str]) -> object:
    """Handles the options that stand before the command, then runs it."""
    rest = list(arguments)
    level = logging.INFO
    while rest and rest[0] in LEVELS:
        level = LEVELS[rest.pop(0)]
    if not rest or rest[0] in ("-h", "--help", "help"):
        print_help()
        return 0
    if rest[0] == "--version":
        import parrot

        print(f"parrot {parrot.__version__}")
        return 0
    if rest[0].startswith("-"):
        raise ConfigError(f"unknown option {rest[0]!r} before the command; see parrot --help")
    set_up_logging(level)
    return run(rest[0], rest[1:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status: an error that a user can cause is one line on stderr."""
    if arguments is None:
        # What Ctrl-C would save is saved, too, when a scheduler or a shell ends the process.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = dispatch(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except ParrotError as error:
        print(f"parrot: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("parrot: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output (`head`, `less`) has left: the interpreter's last flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status if isinstance(status, int) and not isinstance(status, bool) else 0


if __name__ == "__main__":
    sys.exit(main())
