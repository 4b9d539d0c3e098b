"""The subcommands of `parrot`: one module for each group, whose `COMMANDS` maps a name to a typed, documented function."""
