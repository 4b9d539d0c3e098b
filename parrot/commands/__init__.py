"""The subcommands of `parrot`: one module for each group, whose `COMMANDS` maps names to typed, documented functions.

tyro builds the command line from signature and docstring. A function whose only parameter is `argv` gets the
words as they stand. A module with a single command is that command. An int that a function returns is the exit status.
"""
