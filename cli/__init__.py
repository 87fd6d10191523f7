"""One entry point, ``campaigns``; subcommands in flow order."""
