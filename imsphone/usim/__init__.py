"""What a SIM does, in software: MILENAGE, the tokens of AKA, and a memory of sequence numbers."""
