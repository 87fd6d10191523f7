"""Jobs into posts to the Cloud API, and their outcomes."""
