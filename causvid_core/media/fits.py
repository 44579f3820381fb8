"""How pictures of another shape are fitted; see `fitting`."""

FITS = ("crop", "pad", "stretch")
