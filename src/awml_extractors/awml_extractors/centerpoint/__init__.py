"""CenterPoint (Yin et al., CVPR 2021) with a pillar encoder, as AWML trains and Autoware runs it."""
