"""The command `cs329t`: one file for each family of sub-commands, and the doctor."""
