"""The command `modeldeploy`, also `kubectl modeldeploy`: what the operator does, live in the terminal."""

from modeldeploy.cli.command import main

__all__ = ["main"]
