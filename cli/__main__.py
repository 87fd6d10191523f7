"""`python -m cli` is `campaigns`: the supervisor starts our own processes so, whatever the PATH."""

from cli.main import main

if __name__ == "__main__":
    main()
