"""Descriptors: how a clip sounds, in words made from numbers, and read back from words."""
