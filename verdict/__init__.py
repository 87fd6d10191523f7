"""The independent judge of demo, faults and chaos: it imports no other package of ours, to share no mistake."""
