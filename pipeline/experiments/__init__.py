"""Many trainings from one store."""
