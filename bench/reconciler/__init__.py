"""The reconciler against Faust, Quix Streams and a hand-written loop."""
