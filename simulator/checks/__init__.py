"""Checks sends as the Cloud API does: what Meta refuses is refused here, with Meta's code. Pure."""
