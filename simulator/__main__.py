"""`python -m simulator`: the simulator without the rest of the product."""

from simulator.command import app

app(prog_name="simulator")
