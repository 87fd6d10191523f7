"""A faithful WhatsApp Cloud API for tests, demos and benchmarks.

It takes sends, answers as Meta's servers do, says signed status webhooks, misbehaves on request, and keeps a ledger
of all it received and said. It is the independent truth that the pipeline is compared with, so nothing in here may
import a package of the pipeline (`domain`, `streams`, `schemas`, ...): a shared mistake would hide itself.
"""
