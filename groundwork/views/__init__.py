"""A Deployment for people: as data, as a picture, and as the difference between two commits."""
