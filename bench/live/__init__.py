"""How long a webhook takes to the figures of an open page."""
