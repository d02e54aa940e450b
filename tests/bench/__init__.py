"""What the project promises in figures, measured on a real cluster with the installed chart."""
