"""A faithful WhatsApp Cloud API for tests, demos and benchmarks.

It accepts sends, answers like Meta's servers, sends signed status webhooks, fails in the ways you configure, and keeps
a ledger of everything that it received and sent. It is the independent truth for comparisons with the pipeline. So it
imports no package of the pipeline (`domain`, `streams`, `schemas`, ...): a shared mistake would hide itself.
"""
