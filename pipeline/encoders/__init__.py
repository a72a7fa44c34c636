"""Frozen encoders: loading, the layers that they give, pooling over time."""
