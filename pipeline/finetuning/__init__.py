"""Fine-tuning a speech encoder from audio: into a folder that extraction takes."""
