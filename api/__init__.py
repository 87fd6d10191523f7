"""The campaign REST API and its page."""
