"""A faithful WhatsApp Cloud API for tests, demos and benchmarks.

It accepts sends, answers like Meta's servers, sends signed status webhooks, and fails in the ways you configure. It
keeps a ledger of everything that it received and sent, and tests compare the results of the pipeline with that ledger.
So it imports no package of the pipeline (`domain`, `streams`, `schemas`, ...): a comparison cannot find a mistake that
both sides share.
"""
