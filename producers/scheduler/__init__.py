"""Due recipients into `send.jobs`."""
