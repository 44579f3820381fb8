"""What scripts/torture.py does to renders, and how it judges what they leave."""
