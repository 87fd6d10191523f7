"""Memory of an installation while backlogs wait."""
