"""One look at one thing: observe, ask, decide, write the status, render, apply, tell."""
