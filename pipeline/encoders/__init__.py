"""Encoders, frozen or without weights: opening one, the layers that it gives, pooling over time."""
