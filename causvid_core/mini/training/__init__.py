"""What trains the parts of CausVid Mini."""
