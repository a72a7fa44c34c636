"""Faults by the hundred: what genser promises when it is killed, damaged, starved or lied to."""
