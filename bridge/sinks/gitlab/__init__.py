"""The GitLab sink."""
