"""Long recordings cut into stretches, and what is said of stretches put on one timeline."""
