"""From a trained head to predictions."""
