"""Measures the pipeline against its peers: `make bench`. No other package imports this one."""
