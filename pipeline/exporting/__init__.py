"""Trained heads as ONNX: one file from layers to probabilities, one from a waveform."""
