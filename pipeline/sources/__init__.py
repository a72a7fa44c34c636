"""Clips of a manifest as a head sees them, batch by batch: from memory, or streamed."""
