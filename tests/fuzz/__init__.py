"""Random runs of everything at once, with hostile code inside, and what must hold after each."""
