"""Mutation testing: the tests run on a changed copy of the code, and a change that no test notices is printed."""
