"""Footage, pictures and video files as the host hands them over."""
