"""What quantisation is made of: ranges, quantisers, where they stand, and how many bits each layer gets."""
