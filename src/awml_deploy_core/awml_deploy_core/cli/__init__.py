"""The command line: parses, calls the runner, prints."""
