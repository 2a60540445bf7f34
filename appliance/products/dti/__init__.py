"""The diffusion tensor: FA, MD, AD and RD of the brain, from any vendor's diffusion series."""
