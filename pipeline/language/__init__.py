"""Frozen language models: loading, prompts with soft tokens, answers as scores, adapters."""
