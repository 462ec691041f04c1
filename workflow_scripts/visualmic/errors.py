"""The one exception that a user can cause."""


class VisualMicError(Exception):
    """Something the user can put right: the message says what is wrong, where, and what to do.

    The command prints the message as one line without a traceback and exits with status 1.
    Any other exception is a defect of the program and keeps its traceback.
    """


class VisualMicWarning(UserWarning):
    """Something the user should know, while the result is still made."""
