"""Diffusion with free water: corrected images, tensor, free-water fraction, atlas regions and a feature vector."""
