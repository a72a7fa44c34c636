"""Recordings: found whole, decoded, cut, resampled; what can become of a clip."""
