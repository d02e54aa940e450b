"""From nothing to a rollback and a promotion, before your eyes: `make demo`."""
