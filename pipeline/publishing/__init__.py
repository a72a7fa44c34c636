"""Trained heads on the hub: what is said of them, and how they go there and back."""
