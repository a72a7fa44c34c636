"""Manifests: which recordings there are, their labels, who is in which part.

`leaks` finds what parts share, and keeps a speaker out of two of them.
"""
