"""The error of the `.phi` reader."""


class PhiFileError(Exception):
    """An invalid `.phi` file; the message describes the fault in one line."""
