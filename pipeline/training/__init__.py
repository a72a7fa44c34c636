"""From stored features to a trained head."""
