"""The one error of the `.phi` reader. Not run by itself."""


class PhiFileError(Exception):
    """A `.phi` file that must be refused; the message is one line that says what is wrong."""
