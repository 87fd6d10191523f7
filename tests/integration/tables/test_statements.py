"""Every statement on a hot path uses an index and reads a limited number of rows, however large a campaign is.

`CASES` is the list of the hot statements. A new statement in one of `HOT_GROUPS` fails a test until it is in `CASES`,
or in `EXEMPT` with the reason.
"""

from __future__ import annotations

import ast
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.frequency import FrequencyCap
from tables.database import Connection
from tables.frequency import release_parameters
from tables.opt_outs import ATTRIBUTION_SESSION
from tables.recipient_pages import WINDOW_ROWS
from tables.releases import RELEASER_SESSION
from tables.statements import load
from tests.support.histories import START
from tests.support.paths import ROOT
from tests.support.world import NEVER, World

BIG, OVER, GONE, DRAFT = (UUID(int=number, version=4) for number in range(1, 5))
"""An active campaign, one that is finished but for an unknown recipient, a cancelled one, and one that is planned."""
NUMBER = "15550001"
SMALL_ROWS, LARGE_ROWS = 20_000, 1_000_000
ROWS_MAX = 2 * WINDOW_ROWS + 10_000
"""Rows that a statement may read in all scans together. Most read a few."""
PAGES_MAX = 60_000
"""Pages that a statement may touch, those of its functions and triggers included."""
SCANNED = frozenset({
    "campaign_recipients", "send_ledger", "messages", "old_messages", "campaign_counter_deltas", "subscriptions",
    "subscription_outbox", "portfolio_charges", "person_attempts", "opt_outs",
})  # fmt: skip
"""Tables that may be large. A sequential scan of one of them fails. The cap of the numbers keeps `releases` small."""

HOT_GROUPS = (
    "backlog", "budget_returns", "campaigns", "canaries", "closing", "drafts", "editing", "exclusions", "explanations",
    "frequency", "held_events", "ledger", "messages", "new_recipients", "numbers", "opt_outs", "parked", "person_links",
    "planning", "plans", "portfolio", "publications", "recipient_events", "recipient_pages", "recipients", "releases",
    "release_pages",
    "removal", "retention", "stats", "status", "subscription_pages", "subscriptions", "template_checks",
    "template_edits", "test_sends", "trace", "webhook_progress", "windows", "costs", "work",
)  # fmt: skip
HOT_STATEMENTS = {("breakers", "list_holding")}
"""Hot statements of groups that are not hot as a whole."""
EXEMPT = {
    ("held_events", "hold"): "it inserts one row",
    ("campaigns", "create_campaign"): "it inserts one row",
    ("campaigns", "list_active"): "it lists the active campaigns for `pause --all`",
    ("campaigns", "list_campaigns"): "it reads a page of campaigns by the primary key",
    ("campaigns", "read_campaigns"): "it reads rows by the primary key",
    ("campaigns", "list_by_status"): "it reads a page of campaigns of each status by the index of statuses",
    ("canaries", "begin"): "it writes one row by the primary key",
    ("canaries", "lock_room"): "it locks one row by the primary key",
    ("canaries", "charge"): "it changes one row by the primary key",
    ("canaries", "stop"): "it changes one row by the primary key, and inserts one",
    ("canaries", "write_steps"): "it changes rows of active campaigns by the primary key",
    ("canaries", "write_windows"): "it writes rows of active campaigns by the primary key",
    ("drafts", "lock_draft"): "it locks one row by the primary key",
    ("drafts", "delete_campaign"): "it deletes one row by the primary key",
    ("editing", "change_settings"): "it changes one row by the primary key",
    **dict.fromkeys(
        (("frequency", name) for name in ("lock_cap", "read_cap", "write_cap", "remove_cap")), "the table has one row"
    ),
    ("numbers", "write_read"): "it writes one row by the primary key",
    ("numbers", "list_used"): "it reads the campaigns that are not over",
    ("parked", "find_parked"): "a command of an operator",
    ("parked", "read_foreign"): "a command of an operator; the table has a row per day and number",
    ("planning", "try_plan_lock"): "it reads no table",
    ("portfolio", "configure"): "it writes one row by the primary key",
    ("portfolio", "lock_budget"): "the table has one row",
    ("portfolio", "read_budget"): "the table has one row",
    ("portfolio", "report_limit"): "it writes one row by the primary key",
    ("portfolio", "recount"): "`campaigns verify` counts the charges of a day again, on purpose",
    ("releases", "pause_campaign"): "it changes one row by the primary key",
    (
        "stats",
        "read_waiting",
    ): "it reads a counter and its unfolded changes for each active campaign by the primary key",
    ("stats", "read_timeline"): "it reads a limited number of rows by the primary key",
    ("stats", "recount"): "`campaigns verify` counts a campaign again, on purpose",
    ("stats", "mark_refused"): "as mark_published",
    (
        "status",
        "read_backlog",
    ): "it also reads the changes of counters that are not folded, which the publisher keeps few",
    ("status", "list_open_campaigns"): "it lists the active and paused campaigns for an operator",
    ("status", "list_locks"): "it reads no table of ours",
    ("status", "count_sessions"): "it reads no table of ours",
    ("subscriptions", "hold_subscriptions"): "it inserts rows",
    ("template_edits", "settle"): "it changes one row by the primary key, and inserts one",
    ("test_sends", "add_test"): "it inserts one row",
    ("test_sends", "retry_never"): "a test has ten recipients at most",
    ("subscriptions", "state_by_operator"): "it writes the few keys of one person by the primary key",
}
NONE: dict[str, Any] = {}
LEAVING_OUT = {
    "excluding": True, "excluded": [OVER], "excluded_ones": "sent", "capping": True, "cap_skips": True
}  # fmt: skip
PLACES = {
    "fresh_at": START, "fresh_id": UUID(int=0), "tried_at": START, "tried_id": UUID(int=0), "unplanned_id": UUID(int=0)
}  # fmt: skip
NO_PLACES: dict[str, Any] = {"campaigns": [], "fresh_at": [], "fresh_id": [], "tried_at": [], "tried_id": []}

MESSAGE_COLUMNS = (
    "recipient_id", "attempt", "accepted_at", "sent_at", "read_at", "replied_at", "failed_at", "failure_code",
    "failure_text", "failure_class", "failure_backoff_s", "pricing_at", "pricing_type", "pricing_category",
    "phone_number_id", "price",
)  # fmt: skip
FACT_COLUMNS = (
    "sent_at", "delivered_at", "read_at", "replied_at", "accepted_attempt", "accepted_at", "whatsapp_message_id",
    "failed_attempt", "failed_at", "failure_code", "failure_text", "failure_class", "failure_backoff_s",
    "deferred_attempt", "deferred_until", "expired_attempt", "expired_until", "unknown_attempt", "skipped_attempt",
    "skip_reason", "retry_attempt", "price",
)  # fmt: skip
CASES: dict[tuple[str, str], dict[str, Any]] = {
    ("breakers", "list_holding"): {"ids": [BIG, OVER]},
    ("backlog", "count_waiting"): {"rows_max": 10_000},
    ("backlog", "count_released"): {"rows_max": 10_000, "numbers_max": 50},
    ("backlog", "list_limited"): {"campaigns_max": 500},
    ("campaigns", "read_campaign"): {"id": BIG},
    ("campaigns", "lock_campaign"): {"id": BIG},
    ("campaigns", "change_status"): {"id": BIG, "status": "paused", "pause_reason": "test"},
    ("new_recipients", "find_known"): {"campaign": BIG, "keys": ["14690000001", "user:US.1"], "user_ids": ["US.1"]},
    ("new_recipients", "insert_new"): {
        "campaign": BIG, "ids": [UUID(int=1)], "phone_numbers": ["14690000002"], "user_ids": [None],
        "template_parameters": [None],
    },
    ("new_recipients", "insert_any"): {
        "campaign": BIG, "ids": [UUID(int=1), UUID(int=2)], "phone_numbers": ["14690000001", "15550000001"],
        "user_ids": [None, None], "persons": ["14690000001", "15550000001"], "template_parameters": [None, None],
    },
    ("new_recipients", "find_present"): {"campaign": BIG, "names": ["15550000001", "user:US.1"]},
    ("campaigns", "is_empty"): {"campaign": BIG},
    ("canaries", "read_new"): {"campaign": BIG},
    ("canaries", "list_limiting"): {"ids": [BIG]},
    ("canaries", "read_active"): {"all": True},
    ("opt_outs", "note"): {"persons": ["15550000001"], "wamids": [""], "times": [START]},
    ("opt_outs", "attribute_due"): {
        "limit": 500, "follows_s": 259_200.0, "clocks_differ_s": 600.0, "pauses_s": [10.0, 60.0],
    },
    ("work", "find_work"): NONE,
    ("closing", "list_by_status"): {"status": "active", "after": UUID(int=0), "limit": 500},
    ("closing", "find_cancelled"): {"ids": [GONE]},
    ("closing", "lock_cancelled"): {"campaign": GONE, "limit": 2000, **PLACES},
    ("closing", "skip_cancelled"): {"campaign": GONE, "ids": "some", "producer": "test"},
    ("closing", "complete_campaigns"): {
        "ids": [BIG, OVER], "unknown_s": 86_400, "deltas_max": 10_000, "unknowns_max": 1000
    },
    ("closing", "reopen_campaigns"): {"ids": [OVER]},
    ("ledger", "claim_attempts"): {
        "token": uuid4(), "recipients": "some", "attempts": "ones", "deadlines": "times", "lease_s": 45, "producer": ""
    },
    ("ledger", "renew_claims"): {
        "recipients": "some", "attempts": "ones", "tokens": "some", "lease_s": 45, "producer": ""
    },
    ("ledger", "settle_attempts"): {
        "recipients": "some", "attempts": "ones", "tokens": "some", "outcomes": "words", "wamids": "nulls",
        "events": "words", "letters": "words", "codes": "nulls", "reasons": "nulls", "first_s": 5, "max_s": 300,
    },
    ("ledger", "mark_published"): {"recipients": "some", "attempts": "ones", "outcomes": "words"},
    ("ledger", "read_unpublished"): {"older_than_s": 2, "limit": 1000},
    ("ledger", "declare_unknown"): {"limit": 1000, "producer": ""},
    ("messages", "merge_messages"): {
        **dict.fromkeys(MESSAGE_COLUMNS, "nulls"), "wamid": "wamids", "delivered_at": "times", "held_back": "falses"
    },
    ("messages", "merge_usual"): {
        "wamid": "wamids", "recipient_id": "some", "attempt": "ones", "phone_number_id": "nulls", "pricing_at": "times",
        "pricing_type": "words", "pricing_category": "words",
    },
    ("messages", "address_known"): {"wamids": "wamids"},
    ("messages", "find_double_sends"): {"recipient_id": "some", "attempt": "ones"},
    ("budget_returns", "apply_returns"): {"after": 0, "limit": 1000},
    ("held_events", "find_locked"): {"ids": "some", "wamids": "wamids"},
    ("held_events", "is_any"): {},
    ("held_events", "take"): {"after": 0, "limit": 500},
    ("held_events", "release"): {"ids": [1, 2, 3]},
    ("held_events", "find_recipients"): {"ids": "some"},
    ("numbers", "note_reports"): {"numbers": ["+15550001"], "reasons": ["x"], "times": [START]},
    ("numbers", "read_numbers"): {"ids": [NUMBER], "limit": 500},
    ("numbers", "read_foreign"): {"limit": 500},
    ("parked", "find_our_numbers"): {"numbers": [NUMBER]},
    ("parked", "count_foreign"): {"numbers": [NUMBER], "counts": [1]},
    ("parked", "forget_parked"): {"age_s": 86_400, "rows_max": 5000, "lock": 1},
    ("drafts", "delete_recipients"): {"campaign": BIG, "after": UUID(int=0), "limit": 1000},
    ("drafts", "delete_deltas"): {"campaign": BIG},
    ("drafts", "delete_counters"): {"campaign": BIG},
    ("drafts", "clone_recipients"): {"campaign": OVER, "clone": GONE, "after": UUID(int=0), "limit": 0},
    ("planning", "request_plan"): {"campaign": BIG},
    ("planning", "request_new_plan"): {"campaign": BIG},
    ("planning", "lock_old_plan"): {"campaign": BIG, "before_at": NEVER, "before_id": UUID(int=0), "limit": 2000},
    ("planning", "unplan_recipients"): {"ids": "some"},
    ("planning", "take_from_days"): {"campaign": BIG, "days": [START.date()], "counts": [1]},
    ("planning", "end_old_plan"): {"campaign": BIG},
    ("planning", "find_planning"): {"limit": 100},
    ("planning", "read_limit"): {"campaign": DRAFT},
    ("planning", "lock_unplanned"): {"campaign": DRAFT, "after": UUID(int=0), "limit": 2000},
    ("planning", "count_today"): {"campaign": BIG, "today": START.date(), "ends_at": START, "limit": 250},
    ("planning", "read_days"): {"campaign": BIG, "today": START.date()},
    ("planning", "plan_recipients"): {"ids": "some", "times": "times", "countries": "nulls"},
    ("planning", "add_countries"): {"campaign": BIG, "countries": ["DE", "FR"]},
    ("planning", "add_to_days"): {"campaign": BIG, "days": [START.date()], "counts": [1]},
    ("planning", "check_page"): {
        "campaign": BIG, "after": UUID(int=0), "rows": 9_999, "top": UUID(int=2**128 - 1)
    },
    ("planning", "lock_planned"): {"campaign": DRAFT},
    ("planning", "end_plan"): {"campaign": DRAFT},
    ("plans", "read_counts"): {"campaign": BIG},
    ("costs", "read_prices"): {"campaign": BIG},
    ("plans", "sample_unplanned"): {"campaign": DRAFT, "limit": 500, **LEAVING_OUT},
    ("plans", "sample_planned"): {"campaign": BIG, "limit": 500, **LEAVING_OUT},
    ("portfolio", "read_buckets"): {"counts_after": START},
    ("portfolio", "read_used"): {"counts_after": START},
    ("portfolio", "charge"): {"ids": "some", "attempts": "ones", "bucket": NEVER, "counts_after": START},
    ("portfolio", "apply_returns"): {"counts_after": START, "limit": 2000},
    ("portfolio", "has_work"): {"counts_after": START},
    ("portfolio", "prune_charges"): {"counts_after": START, "limit": 5000},
    ("portfolio", "prune_buckets"): {"counts_after": START},
    ("recipient_events", "read_events"): {"ids": "some"},
    ("recipient_pages", "list_recipients"): {"campaign": BIG, "after": UUID(int=0), "limit": 100},
    ("recipient_pages", "list_person"): {
        "campaign": BIG, "after": UUID(int=0), "limit": 100, "person": "15550000001", "statuses": None
    },
    ("recipient_pages", "read_recipients"): {"ids": "some"},
    ("recipient_pages", "find_by_number"): {
        "campaign": BIG, "start": "1", "end": "2", "statuses": None, "window": 51, "limit": 51
    },
    ("recipient_pages", "find_by_user"): {
        "campaign": BIG, "start": "US.", "end": "US/", "statuses": None, "window": 51, "limit": 51
    },
    **{
        ("recipient_pages", f"choose_{name}"): {
            "campaign": BIG, "after": UUID(int=0), "limit": 100, "statuses": [name], "window": WINDOW_ROWS
        } for name in ("any", "failed", "skipped", "unknown")
    },
    ("recipients", "merge_recipients"): {
        **dict.fromkeys(FACT_COLUMNS, "nulls"), "id": "some", "attempt": "ones", "accepted_attempts": "ones",
        "failed_attempts": "ones", "held_back_attempts": "ones", "held_for_quality": "falses",
    },
    ("recipients", "merge_usual"): {
        **dict.fromkeys(("delivered_at", "read_at", "accepted_at", "whatsapp_message_id", "price"), "nulls"),
        "id": "some", "attempt": "ones", "accepted_attempts": "ones", "sent_at": "times", "held_for_quality": "falses",
    },
    ("recipients", "find_refused"): {"id": "some", "earliest_at": "times", "before_max": "1 day"},
    ("recipients", "find_recipients"): {"ids": "some"},
    ("recipients", "read_facts"): {"ids": "some"},
    ("releases", "find_due_campaigns"): {
        "count_max": 80, "open": [BIG, OVER], "following": [BIG], "countries": ["DE"], **NO_PLACES
    },
    ("releases", "read_days_used"): {"campaigns": [BIG], "days": [START.date()]},
    ("releases", "refill_number"): {"number": NUMBER, "mps": 80.0},
    ("releases", "count_unclaimed"): {"number": NUMBER},
    ("releases", "read_limits"): {"campaign": BIG},
    ("releases", "lock_day"): {"campaign": BIG, "day": START.date()},
    ("releases", "release_due"): {
        "campaign": BIG, "day": START.date(), "fresh": 80, "tried": 20, "number": NUMBER, "follows": True,
        "countries": ["DE", "FR", ""], "deadlines": [NEVER] * 3, "producer": "", **PLACES,
        "exclude_campaigns": [OVER, GONE], "exclude_recipients": "sent", "pair_s": 6.0, "pair_remembered_s": 900.0,
        **release_parameters(FrequencyCap(3, 30), 7),
    },
    ("releases", "spend_tokens"): {"number": NUMBER, "spent": 1},
    ("person_links", "link_people"): {"recipients": "some", "keys": "wamids"},
    ("publications", "record_published"): {
        "recipients": "some", "attempts": "ones", "partitions": "ones", "offsets": "ones", "topic_id": "id"
    },
    ("publications", "find_unclaimed"): {
        "partitions": [0], "committed": [0], "grace_s": 2, "delay_s": 5, "delay_max_s": 300, "lost_s": 3600,
        "limit": 1000, "topic_id": "id", "after_id": BIG, "after_attempt": 0, "last_id": UUID(int=2**128 - 1),
        "last_attempt": 1,
    },
    ("release_pages", "find_page"): {"after_id": UUID(int=0), "after_attempt": 0, "limit": 10_000},
    ("release_pages", "forget_answered"): {
        "older_than_s": 5, "limit": 5000, "after_id": UUID(int=0), "after_attempt": 0
    },
    ("releases", "count_due"): NONE,
    ("releases", "count_released"): NONE,
    ("retention", "prune_ledger"): {"days": 0, "limit": 2000, "after_recipient": UUID(int=0), "after_attempt": 0},
    ("retention", "prune_messages"): {"days": -1, "limit": 2000, "after_recipient": UUID(int=0), "after_attempt": 0},
    ("retention", "prune_subscription_outbox"): {"days": 0, "limit": 2000, "after_id": 0},
    ("retention", "prune_budgets"): {
        "days": 1, "limit": 2000, "after_campaign": UUID(int=0), "after_day": START.date()
    },
    ("retention", "prune_timeline"): {
        "days": 1, "limit": 2000, "after_campaign": UUID(int=0), "after_minute": START
    },
    ("retention", "prune_dead_letter_acts"): {
        "days": 31, "limit": 2000, "after_topic": "", "after_partition": 0, "after_offset": 0, "unlimited": []
    },
    ("retention", "prune_idempotency_keys"): {"days": 7, "limit": 2000, "after_key": ""},
    ("retention", "prune_person_attempts"): {
        "days": -1, "limit": 2000, "after_person": "", "after_at": START, "after_recipient": UUID(int=0),
        "after_attempt": 0,
    },
    ("removal", "find_by_id"): {"campaign": BIG, "id": "one"},
    ("removal", "find_by_person"): {"campaign": BIG, "person": "15550000001"},
    ("removal", "lock_person"): {"campaign": BIG, "person": "15550000001", "repetition": 0},
    ("removal", "delete_locked"): {"ids": "some"},
    ("stats", "fold_deltas"): {"after": "(0,0)", "rows_max": 20_000},
    ("stats", "read_stats"): {"ids": [BIG]},
    ("stats", "read_unpublished"): {"rows_max": 500},
    ("stats", "read_unpublished_minutes"): {"rows_max": 500},
    ("stats", "mark_minutes_published"): {"ids": [BIG], "minutes": [START], "versions": [1]},
    ("stats", "read_deleted"): {"rows_max": 500},
    ("stats", "forget_deleted"): {"ids": [BIG]},
    ("stats", "mark_published"): {"ids": [BIG], "versions": [1]},
    ("status", "read_sending"): {"silent_s": 600, "day_s": 86_400},
    ("subscriptions", "merge_subscriptions"): {
        "person": ["15550000001"], "source": ["keyword"], "subscribed": [False], "occurred_at": [START],
        "opted_out_at": [START],
    },
    ("subscriptions", "opt_out_by_operator"): {"persons": ["15550000001", "15550000002"]},
    ("subscription_pages", "list_subscriptions"): {
        "after_person": "", "after_source": "", "limit": 101, "window": WINDOW_ROWS, "sources": ["platform"],
        "subscribed": True,
    },
    ("subscriptions", "find_locked_subscriptions"): {"person": ["15550000001"], "source": ["keyword"]},
    ("subscriptions", "find_answered"): {"wamids": ["wamid.1"]},
    ("subscriptions", "is_any_waiting"): {},
    ("subscriptions", "take_waiting"): {"after": 0, "limit": 500, "wait_max_s": 86_400},
    ("subscriptions", "unlock_waiting"): {"ids": [1]},
    ("subscriptions", "release_waiting"): {"ids": [1]},
    ("person_links", "link_keys"): {
        "ones": ["15550000001"], "others": ["15550000002"], "same_account": "{false}",
    },
    ("subscriptions", "find_out_by"): {"person": "15550000001"},
    ("subscriptions", "read_unpublished"): {"limit": 1000},
    ("subscriptions", "mark_published"): {"ids": [1]},
    ("webhook_progress", "read_age"): NONE,
    ("webhook_progress", "record_progress"): {"at": START},
    ("test_sends", "list_tests"): {"test_of": BIG, "limit": 20},
    ("test_sends", "list_messages"): {"campaigns": [DRAFT], "limit": 200},
    ("template_checks", "measure_chunk"): {
        "campaign": BIG, "after": UUID(int=0), "limit": 20_000, "first": 20, "body": '{"1": 1}', "header": "{}",
        "body_room": 1000, "header_room": 50, "failed_too": False,
    },
    ("template_edits", "note"): {"keys": ["your_template/en_US"], "times": [NEVER]},
    ("template_edits", "read_uncompared"): {"limit": 100},
    ("template_checks", "read_first"): {"ids": "some"},
    ("template_checks", "read_one"): {"campaign": BIG, "id": None, "person": "15550000001"},
    ("trace", "find_by_id"): {"id": "one"},
    ("trace", "find_by_person"): {"person": "15550000001"},
    ("trace", "find_by_wamid"): {"wamid": "wamid.1"},
    ("trace", "read_recipient"): {"id": "one"},
    ("trace", "read_releases"): {"id": "one"},
    ("trace", "read_ledger"): {"id": "one"},
    ("trace", "read_messages"): {"id": "one"},
    ("trace", "read_subscriptions"): {"person": "15550000001"},
    ("windows", "list_sending"): NONE,
    ("exclusions", "find_excluded"): {"ids": [BIG, None], "names": ["c", "other"]},
    ("explanations", "read_situation"): {"campaign": BIG},
    ("explanations", "count_paired"): {"campaign": BIG, "pair_s": 6.0, "limit": 2000},
    ("explanations", "find_retry_times"): {"campaign": BIG, "limit": 1000},
    ("windows", "watch_campaigns"): {"blocked": [BIG], "reason": "stale"},
    ("editing", "expire_released"): {"id": BIG},
}  # fmt: skip
"""Each hot statement by file and name, with parameters. A word stands for values of `some` recipients."""

CAMPAIGN_ROWS = """
    INSERT INTO marketing_campaigns (id, name, template_name, language_code, phone_number_id, status, planning,
                                     daily_send_limit)
    SELECT id, 'c', 't', 'en', '15550001', status, status = 'active', 1000
    FROM unnest(%s::uuid[], %s::text[]) AS u (id, status)
"""
RECIPIENTS = """
    INSERT INTO campaign_recipients (
        campaign_id, phone_number, scheduled_send_date, attempt, sent_at, delivered_at, accepted_attempts,
        accepted_attempt, accepted_at, whatsapp_message_id, failed_attempts, failed_attempt, failed_at, failure_code,
        failure_text, failure_class, failure_backoff_s, unknown_attempt, skipped_attempt, skip_reason)
    SELECT %(campaign)s, (15550000000 + n)::text,
           CASE WHEN kind <> 'unplanned' THEN now() + CASE kind WHEN 'later' THEN 1 ELSE -1 END * interval '1 day' END,
           (kind NOT IN ('due', 'later', 'unplanned'))::int,
           CASE WHEN kind = 'delivered' THEN now() END, CASE WHEN kind = 'delivered' THEN now() END,
           CASE WHEN kind = 'delivered' THEN 2 ELSE 0 END, CASE WHEN kind = 'delivered' THEN 1 END,
           CASE WHEN kind = 'delivered' THEN now() END, CASE WHEN kind = 'delivered' THEN 'wamid.' || n END,
           CASE WHEN kind IN ('failed', 'retry') THEN 2 ELSE 0 END,
           CASE WHEN kind IN ('failed', 'retry') THEN 1 END,
           CASE WHEN kind IN ('failed', 'retry') THEN now() - interval '1 hour' END,
           CASE WHEN kind IN ('failed', 'retry') THEN 131000 END, CASE WHEN kind IN ('failed', 'retry') THEN 'x' END,
           CASE kind WHEN 'failed' THEN 'never' WHEN 'retry' THEN 'backoff' END,
           CASE WHEN kind IN ('failed', 'retry') THEN 60 END,
           CASE WHEN kind = 'unknown' THEN 1 END, CASE WHEN kind = 'skipped' THEN 1 END,
           CASE WHEN kind = 'skipped' THEN 'opted_out' END
    FROM (SELECT n, (%(kinds)s::text[])[1 + n %% cardinality(%(kinds)s::text[])] AS kind
          FROM generate_series(0, %(rows)s - 1) AS n) AS numbered
"""
OTHER_ROWS = (
    """INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,
                                outcome, outcome_at, wamid, event, published_at)
       SELECT id, 1, campaign_id, current_date, now(), id, now(),
              CASE status WHEN 'delivered' THEN 'accepted' WHEN 'unknown' THEN 'unknown' ELSE 'rejected' END,
              now() - interval '1 hour', whatsapp_message_id, '{}', now()
       FROM campaign_recipients WHERE attempt = 1""",
    """INSERT INTO messages (wamid, recipient_id, attempt) SELECT whatsapp_message_id, id, 1 FROM campaign_recipients
       WHERE whatsapp_message_id IS NOT NULL ON CONFLICT DO NOTHING""",
    """INSERT INTO old_messages SELECT wamid_key('old.' || id), id, 1 FROM campaign_recipients WHERE attempt = 1""",
    """INSERT INTO messages (wamid, phone_number_id, first_seen_at)
       SELECT 'parked.' || n, '15550001', now() - interval '2 days' FROM generate_series(1, 20000) AS n""",
    """INSERT INTO campaign_counters
       SELECT campaign_id, 'status', status, count(*) FROM campaign_recipients GROUP BY 1, 3
       UNION ALL SELECT campaign_id, 'funnel', 'total', count(*) FROM campaign_recipients GROUP BY 1
       UNION ALL SELECT campaign_id, 'funnel', 'due', count(next_attempt_at) FROM campaign_recipients GROUP BY 1""",
    """INSERT INTO campaign_counter_deltas
       SELECT id, 'funnel', 'sent', 1 FROM marketing_campaigns, generate_series(1, 9000)""",
    """INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day)
       SELECT id, 1, campaign_id, '15550001', now() + interval '1 day', current_date FROM campaign_recipients
       WHERE attempt = 1 ORDER BY id LIMIT 800""",
    "INSERT INTO frequency_cap (messages, days) VALUES (3, 30)",
    """INSERT INTO person_attempts (person, recipient_id, attempt)
       SELECT person, id, 1 FROM campaign_recipients WHERE attempt = 1""",
    """INSERT INTO subscriptions SELECT (15550000000 + n)::text, 'operator', n %% 2 = 0, now()
       FROM generate_series(1, 20000) AS n""",
    """INSERT INTO opt_outs SELECT (15550000000 + n)::text, now(), '', NULL, 0, now() + (n %% 10) * interval '1 day'
       FROM generate_series(1, 20000) AS n""",
    """INSERT INTO person_links SELECT (15550000000 + n)::text, 'user:US.' || n FROM generate_series(1, 20000) AS n""",
    """INSERT INTO subscription_outbox (person, source, subscribed, occurred_at, published_at)
       SELECT n::text, 'operator', false, now(), now() FROM generate_series(1, 20000) AS n""",
    """INSERT INTO portfolio_charges (recipient_id, attempt, person, bucket)
       SELECT id, 1, person, now() - random() * interval '2 days' FROM campaign_recipients
       WHERE attempt = 1 LIMIT 100000""",
    "INSERT INTO portfolio_returns (recipient_id, attempt) SELECT recipient_id, 1 FROM portfolio_charges LIMIT 5000",
)
KINDS = {
    BIG: ["delivered"] * 12 + ["due", "later", "retry", "failed", "unknown", "skipped", "unplanned", "delivered"],
    OVER: ["delivered"] * 19 + ["unknown"],
    GONE: ["delivered"] * 16 + ["due", "retry", "skipped", "unplanned"],
    DRAFT: ["unplanned"],
}
SHARES = {BIG: 0.7, OVER: 0.1, GONE: 0.1, DRAFT: 0.1}


async def fill(world: World, rows: int) -> None:
    """The campaigns, without triggers: they are not what is measured here."""
    await world.run("SET session_replication_role = replica")
    await world.run(CAMPAIGN_ROWS, list(KINDS), ["active", "active", "cancelled", "active"])
    for campaign, kinds in KINDS.items():
        await world.connection.execute(
            RECIPIENTS.encode(), {"campaign": campaign, "kinds": kinds, "rows": int(rows * SHARES[campaign])}
        )
    for statement in OTHER_ROWS:
        await world.run(statement)
    await world.run("SET session_replication_role = origin")
    await world.run("SET maintenance_work_mem = '256MB'")
    await world.run("VACUUM ANALYZE")


async def parameters(connection: Connection, values: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a case, with values of real recipients for its words."""
    cursor = await connection.execute(
        "SELECT id, whatsapp_message_id FROM campaign_recipients WHERE campaign_id = %s ORDER BY id LIMIT 50", [BIG]
    )
    rows = await cursor.fetchall()
    count = len(rows)
    words: dict[str, Any] = {
        "some": [row[0] for row in rows], "one": rows[0][0], "ones": [1] * count, "nulls": [None] * count,
        "falses": [False] * count, "times": [START] * count, "words": ["accepted"] * count,
        "wamids": [f"wamid.new.{place}" for place in range(count)],
    }  # fmt: skip
    return {
        name: words[value] if isinstance(value, str) and value in words else value for name, value in values.items()
    }


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The node and all nodes under it."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


def rows_read(node: dict[str, Any]) -> int:
    """Rows that a scan of a table read, in all of its loops. A node that writes is no scan."""
    if node["Node Type"] == "ModifyTable":
        return 0
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"]) if "Relation Name" in node else 0


async def explain(connection: Connection, group: str, name: str) -> dict[str, Any]:
    """The plan of a statement that was run and rolled back."""
    values = await parameters(connection, CASES[group, name])
    async with connection.transaction(force_rollback=True):
        cursor = await connection.execute(
            f"EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT json) {load(group)[name]}".encode(), values
        )
        row = await cursor.fetchone()
    assert row is not None
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return dict(plan[0]["Plan"])


@asynccontextmanager
async def session_of(world: World, group: str) -> AsyncIterator[Connection]:
    """A connection as the process has it that runs these statements."""
    session = {"jit": "off"}
    if group in ("closing", "planning", "portfolio", "releases", "release_pages", "ledger", "retention", "work"):
        session = RELEASER_SESSION
    if group in ("opt_outs", "subscriptions"):
        session = ATTRIBUTION_SESSION
    async with world.another(**session) as connection:
        yield connection


async def check_every_statement(world: World) -> None:
    """All findings at once: the scans of a whole table, and the statements that read too much."""
    findings: dict[str, list[Any]] = {}
    for group, name in CASES:
        async with session_of(world, group) as connection:
            plan = await explain(connection, group, name)
        scans = [node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
        read = sum(rows_read(node) for node in nodes(plan))
        pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        found = [table for table in scans if table in SCANNED]
        if found or read > ROWS_MAX or pages > PAGES_MAX:
            findings[f"{group}.{name}"] = [found, read, pages]
    assert findings == {}


def test_every_hot_statement_is_in_the_list() -> None:
    hot = {(group, name) for group in HOT_GROUPS for name in load(group)} | HOT_STATEMENTS
    assert hot == CASES.keys() | EXEMPT.keys()
    assert not CASES.keys() & EXEMPT.keys()


def test_every_statement_of_the_page_is_in_the_list() -> None:
    """So nothing on the page counts rows, or reads more of a large campaign than of a small one."""
    files = [*(ROOT / "api" / "pages").glob("*.py"), *(ROOT / "api" / name for name in ("costs.py", "plans.py"))]
    read = {module for file in files for module in tables_of(file) if (ROOT / f"tables/sql/{module}.sql").exists()}
    assert read - set(HOT_GROUPS) == {"breakers", "campaign_names"}, "the page uses `list_holding`, and short ids"


def tables_of(file: Path) -> Iterator[str]:
    """The modules of `tables` that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            package, _, module = node.module.partition(".")
            if package == "tables":
                yield from [module] if module else [name.name for name in node.names]


async def test_each_hot_statement_uses_an_index(world: World) -> None:
    await fill(world, SMALL_ROWS)
    await check_every_statement(world)


async def test_many_releases_lead_no_statement_through_the_whole_ledger(world: World) -> None:
    await fill(world, SMALL_ROWS)
    await world.run("""
        INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day, released_at)
        SELECT recipient_id, attempt, campaign_id, '15550001', now(), current_date, now() - interval '1 minute'
        FROM send_ledger ON CONFLICT DO NOTHING""")
    await world.run("ANALYZE releases")
    async with session_of(world, "release_pages") as connection:
        for name, limit in (("find_page", 10_000), ("forget_answered", 5000)):
            plan = await explain(connection, "release_pages", name)
            read = [rows_read(node) for node in nodes(plan) if node.get("Relation Name") == "releases"]
            assert limit <= max(read) <= limit + 1, name
    for group, name in (("release_pages", "forget_answered"), ("publications", "find_unclaimed")):
        async with session_of(world, group) as connection:
            plan = await explain(connection, group, name)
        read = [node["Actual Rows"] for node in nodes(plan) if node.get("Relation Name") == "send_ledger"]
        assert all(rows <= 1 for rows in read), name


@pytest.mark.slow
async def test_each_hot_statement_reads_a_limited_number_of_a_million_rows(world: World) -> None:
    await fill(world, LARGE_ROWS)
    await check_every_statement(world)
