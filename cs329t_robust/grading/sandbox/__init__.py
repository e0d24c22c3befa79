"""The processes that run a student's code: launched, shut in, asked over a socket, and ended."""
