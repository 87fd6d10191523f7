"""The stream processors on Faust: the reconciler and the sender, with its Cloud API client."""
