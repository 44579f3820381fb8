"""Many videos: lists of jobs and the names of their files."""
