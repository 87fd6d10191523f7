"""Reads files of recipients as people have them: their encoding, their columns and their lines. Pure."""
