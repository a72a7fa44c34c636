"""Where work runs: here, in processes beside this one, or in actors of a Ray cluster."""
