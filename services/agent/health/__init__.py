"""Whether an instance has started, lives and may take traffic."""
