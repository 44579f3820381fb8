"""Latents of the Mini's VAE as rough colours, for previews.

Fitted by least squares to the px frames of its world, averaged over the 8x8x4 px of a latent.
ComfyUI has such factors for Wan's own VAE; the Mini's latents mean other colours.
"""

LATENT_RGB_FACTORS = (
    (-0.0910, -0.0993, 0.1950),
    (0.0520, 0.2098, 0.0960),
    (-0.2179, -0.1047, -0.1793),
    (-0.2132, -0.0812, -0.0457),
    (-0.0172, -0.0767, -0.0697),
    (-0.1962, 0.1375, 0.1360),
    (-0.1008, -0.0986, -0.0908),
    (-0.0207, -0.0081, -0.0860),
    (-0.0682, -0.1004, -0.2165),
    (0.1286, -0.0167, -0.3850),
    (-0.0102, 0.4573, -0.0792),
    (0.0026, 0.0380, -0.0067),
    (-0.0317, -0.0292, 0.0918),
    (-0.1529, -0.0337, -0.3311),
    (0.2052, -0.0161, 0.0600),
    (0.1833, -0.0284, -0.1314),
)
LATENT_RGB_BIAS = (-0.5368, -0.5489, -0.5351)
