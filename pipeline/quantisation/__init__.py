"""From frames to codes: k-means, and the codebooks that it gives."""
