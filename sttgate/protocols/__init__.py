"""Wire adapters: each translates one protocol to sessions and back."""
