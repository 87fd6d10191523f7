"""The options that every peer of the reconciler gets. It imports no package, because peers have their own."""

import argparse


def options() -> argparse.Namespace:
    """Parse the command line of a peer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--deployment", required=True)
    return parser.parse_args()
