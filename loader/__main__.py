"""Run the command line: `python -m loader COMMAND`."""

from loader._commands.app import main

if __name__ == "__main__":
    main()
