"""What can go wrong with a server."""


class ServerFailedError(Exception):
    """The server ended, or would not start; the message has what it logged last."""


class RestoreFailedError(Exception):
    """A server could not be restored; the message is the reason, in PostgreSQL's own words where it gave one."""


class CancelledError(Exception):
    """The caller no longer wants the result."""


class ProgramFailedError(Exception):
    """One of PostgreSQL's programs ended with an error; the message is what it wrote."""
