"""The command ``dcread``: each sub-command is a thin door to the library."""
