"""The commands: each parses its arguments and calls the function of the same name."""
