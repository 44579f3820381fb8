"""What trains the parts of CausVid Mini: VAE, decoder, sketch and transformer."""
