"""The one way in which the command refuses."""


class WrongInput(Exception):  # noqa: N818 - told to people, never handled
    """What was given, what is wrong with it, and the mend, in a sentence."""
