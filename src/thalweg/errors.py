"""What thalweg says when it cannot go on.

Every mistake a user can make ends here: one sentence that names the file, column, row, layer or parameter and says what
to do. The command line prints the sentence and leaves with status 2; a library user catches ``InputError`` (a
``ValueError``, as scikit-learn and PyTorch raise).
"""


def plain(text: str) -> str:
    """One line without control characters: a name out of a foreign file writes nothing to a terminal but itself.

    >>> plain("red\\n\\x1b[31m")
    'red\\\\n\\\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


class InputError(ValueError):
    """What was given cannot be used. The message is one sentence: what, where, what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(plain(sentence))


class MissingDependency(InputError):
    """An optional package is not installed. The message names the command that installs it."""

    def __init__(self, package: str, purpose: str, extra: str | None = None) -> None:
        command = f"pip install 'thalweg[{extra}]'" if extra else f"pip install {package}"
        super().__init__(f"{purpose} needs the package {package}, which is not installed: {command}")


class Diverged(InputError):
    """Training produced a loss or gradient that is not finite. The message says at which step and in which layer."""
