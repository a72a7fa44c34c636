"""Encoders, frozen or without weights: opening one, the rows that it gives, pooling over time."""
