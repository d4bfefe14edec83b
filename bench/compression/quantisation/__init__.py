"""The parts of quantisation: ranges, quantisers, where they stand, and how many bits each layer gets."""
