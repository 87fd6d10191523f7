"""Turns jobs into posts to the Cloud API, and records their outcomes."""
