"""Every reason code of the pipeline, with its meaning: the code that produces a reason takes it from here.

The codes are an interface: they are in dead-letter headers, events, counters, metrics and answers of the REST API
and the commands. `docs/reference/reasons.md` is generated from this module.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class ReasonCode(StrEnum):
    """A code, the stages or parts that use it, and its meaning in one sentence."""

    used_by: str
    meaning: str

    def __new__(cls, code: str, used_by: str, meaning: str) -> Self:
        """Store the code as the value and the rest as attributes."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.used_by = used_by
        member.meaning = meaning
        return member


class DeadLetterReason(ReasonCode):
    """Why a record or an item is in a dead-letter topic."""

    MALFORMED_BUNDLE = "malformed_bundle", "reconciler", "The record is not a bundle of webhook bodies."
    NOT_JSON = "not_json", "reconciler", "The webhook body is not JSON, even in a lenient reading."
    TOO_DEEP = "too_deep", "reconciler", "The webhook body is nested deeper than the reader allows."
    TOO_MANY_ITEMS = "too_many_items", "reconciler", "The webhook body has more than 10,000 items."
    NOT_AN_OBJECT = "not_an_object", "reconciler", "The webhook body is JSON but not an object."
    NO_ENTRY = "no_entry", "reconciler", "The webhook body has neither an entry nor statuses."
    MALFORMED_ENTRY = "malformed_entry", "reconciler", "An entry is not an object or has no list of changes."
    MALFORMED_CHANGE = "malformed_change", "reconciler", "A change is not an object."
    MALFORMED_VALUE = "malformed_value", "reconciler", "The value of a change is not an object."
    MALFORMED_STATUSES = "malformed_statuses", "reconciler", "The statuses of a value are not a list."
    MALFORMED_STATUS = "malformed_status", "reconciler", "A status is not an object."
    MALFORMED_PREFERENCES = (
        "malformed_preferences",
        "reconciler",
        "The preferences of a value are not a list of objects.",
    )
    MISSING_PERSON = "missing_person", "reconciler", "An opt-out or opt-in names no person and no message."
    MISSING_WAMID = "missing_wamid", "reconciler", "A status has no message id of a valid length."
    MISSING_STATUS = "missing_status", "reconciler", "A status has no status word of a valid length."
    MALFORMED_TIMESTAMP = (
        "malformed_timestamp",
        "reconciler",
        "The time of a status, a reply or an opt-out cannot be read.",
    )
    TIMESTAMP_IN_FUTURE = (
        "timestamp_in_future",
        "reconciler, sink",
        "The time is more than 10 minutes after the receipt, the record and the present.",
    )
    TIMESTAMP_TOO_OLD = (
        "timestamp_too_old",
        "reconciler, sink",
        "The time is before WhatsApp or the campaign existed, or too old to wait for its message id.",
    )
    MALFORMED = "malformed", "reconciler, sender, sink", "The bytes do not decode to the record of this topic."
    UNKNOWN_RECIPIENT = "unknown_recipient", "sink", "The event names a recipient that has no row."
    RECORD_TOO_LARGE = "record_too_large", "reconciler", "An event made of it is larger than its topic allows."
    REFUSED_BY_DATABASE = "refused_by_database", "sink", "Postgres refuses the values of the event."
    BUG = "bug", "reconciler, sender, sink", "Our code raised an exception on this item. The data may be valid."


class ItemOutcome(ReasonCode):
    """The fate of an item of a webhook, as `campaigns_reconciler_items_total` counts it."""

    EVENT = "event", "reconciler", "It became an event."
    DEAD_LETTER = "dead_letter", "reconciler", "It was dead-lettered."
    UNKNOWN_STATUS = "unknown_status", "reconciler", "Its status word is not one that changes a recipient."
    FOREIGN_NUMBER = "foreign_number", "reconciler", "It is about another phone number and not about our message."
    MESSAGE = "message", "reconciler", "It is an incoming message that answers no message and opts nobody out or in."
    PREFERENCE = "preference", "reconciler", "It is a preference that opts nobody out or in."
    CLICK = "click", "reconciler", "It is a click on a link of a marketing message."
    USER_ACTION = "user_action", "reconciler", "It is another action of a person than a click."
    SYSTEM_ERROR = "system_error", "reconciler", "It is an error that Meta reports outside of any message."
    OTHER_FIELD = "other_field", "reconciler", "Its change is about a field that changes nothing here."
    OTHER_TYPE = "other_type", "reconciler", "It is a status of something else than a message, such as a payment."
    OTHER_OBJECT = "other_object", "reconciler", "Its body is about another object than a WhatsApp account."
    EMPTY = "empty", "reconciler", "Its body or its value holds nothing."


class EventOutcome(ReasonCode):
    """Why a valid event changed no row and is no dead letter."""

    ERASED = "erased", "sink, trace", "It is a status of our own message whose recipient was deleted."


NO_EVIDENCE = frozenset({DeadLetterReason.UNKNOWN_RECIPIENT})
"""These dead letters say nothing about our code, so no limit counts them: an operator has deleted the rows."""


class SkipReason(ReasonCode):
    """Why an attempt was skipped. The SQL of releases and claims writes these codes."""

    OPTED_OUT = "opted_out", "scheduler, sender", "The person has unsubscribed."
    CAMPAIGN_CANCELLED = "campaign_cancelled", "scheduler, sender", "The campaign was cancelled."
    SAME_PERSON = "same_person", "scheduler, sender", "Another recipient of the campaign is the same person."
    TEMPLATE_PARAMETERS_INVALID = (
        "template_parameters_invalid",
        "scheduler",
        "The template parameters of the recipient do not have the form that a template needs.",
    )
    FREQUENCY_CAPPED = (
        "frequency_capped",
        "scheduler",
        "The person has had as many messages as the frequency cap allows, for longer than the recipient may wait.",
    )
    EXCLUDED = "excluded", "scheduler", "The person is a recipient of a campaign that this one excludes."


class PauseReason(ReasonCode):
    """Why the scheduler paused a campaign by itself: its row makes no message, it is late, or its figures are bad."""

    INVALID_TIME_ZONE = "invalid_time_zone", "scheduler", "The time zone of the campaign is not an IANA time zone."
    INVALID_LANGUAGE_CODE = "invalid_language_code", "scheduler", "The language of the campaign is not a language code."
    INVALID_TEMPLATE_NAME = "invalid_template_name", "scheduler", "The template name of the campaign is too long."
    INVALID_PHONE_NUMBER_ID = (
        "invalid_phone_number_id",
        "scheduler",
        "The phone number id of the campaign is empty or too long.",
    )
    INVALID_WINDOW = "invalid_window", "scheduler", "The quiet hours of the campaign leave nothing of its window."
    STALE = (
        "stale",
        "scheduler",
        "Nothing could be sent for longer than `stale_after_hours` although recipients waited. Resume it to send now.",
    )
    TOO_MANY_OPT_OUTS = (
        "too_many_opt_outs",
        "scheduler",
        "More people opted out than `opt_out_limit_percent` allows. The figures follow the code.",
    )
    TOO_MANY_FAILURES = (
        "too_many_failures",
        "scheduler",
        "More messages failed than `failure_limit_percent` allows. The figures follow the code.",
    )
    TOO_MANY_BLOCKS = (
        "too_many_blocks",
        "scheduler",
        "More people are blocked for marketing than `block_limit_percent` allows (131049, 131050).",
    )
    TOO_MANY_UNKNOWNS = (
        "too_many_unknowns",
        "scheduler",
        "More outcomes are unknown than `unknown_limit_percent` allows. The figures follow the code.",
    )


class WaitReason(ReasonCode):
    """Why a recipient of a campaign has no message yet, as `campaigns explain` counts it."""

    DRAFT = "draft", "explain", "The campaign is a draft: activate it."
    PAUSED = "paused", "explain", "The campaign is paused for the stated reason: resume it."
    CANCELLED = "cancelled", "explain", "The campaign is cancelled: the recipient is skipped, or will be."
    WAITING_FOR_START = "waiting_for_start", "explain", "The campaign starts later."
    PLANNING = "planning", "explain", "The recipient gets a planned time in the background."
    IN_TURN = "in_turn", "explain", "The recipient is due, and is released at the rate of the number."
    DAILY_LIMIT = "daily_limit", "explain", "The limit of the day is used, or kept for others."
    PAIR_LIMIT = "pair_limit", "explain", "The person got another message of the number a moment ago, or is getting it."
    PORTFOLIO_BUDGET = (
        "portfolio_budget",
        "explain",
        "All campaigns together have sent to as many people in 24 hours as the portfolio may.",
    )
    OUTSIDE_WINDOW = "outside_window", "explain", "The window is closed by the clocks that decide for the recipient."
    NEVER_OPEN = "never_open", "explain", "The zones of the recipient's country are never in the window together."
    CANARY = (
        "canary",
        "explain",
        "The campaign waits for the outcomes of its first people, with the stated figures.",
    )
    BREAKER = "breaker", "explain", "The stated open breaker holds the campaign."
    BACKOFF = "backoff", "explain", "An attempt failed for a while; the recipient is due again after a pause."
    HELD_BACK = "held_back", "explain", "Meta held the message back (131049); it is sent again a day later."
    FREQUENCY_CAP = (
        "frequency_cap",
        "explain",
        "The person has had as many messages as the stated cap allows; the recipient is due when it allows one.",
    )
    IN_FLIGHT = "in_flight", "explain", "The message is released or being sent, and its outcome is not recorded yet."
    UNKNOWN = "unknown", "explain", "The message may have been sent: nobody knows, and it is not sent again by itself."
    FAILED = "failed", "explain", "The message failed and is not sent again by itself."
    OPTED_OUT = "opted_out", "explain", "The person has unsubscribed."
    SAME_PERSON = "same_person", "explain", "Another recipient of the campaign is the same person."
    TEMPLATE_PARAMETERS_INVALID = "template_parameters_invalid", "explain", "No message can be made of the parameters."
    FREQUENCY_CAPPED = "frequency_capped", "explain", "The frequency cap allows no message in time, so it was skipped."
    EXCLUDED = "excluded", "explain", "The person is a recipient of a stated campaign, which this one excludes."
    SKIPPED = "skipped", "explain", "The recipient was skipped for another reason."


class FailureReason(ReasonCode):
    """Why an attempt failed, where the reason is ours. All other failures carry the text of the Cloud API."""

    ATTEMPTS_EXHAUSTED = "attempts_exhausted", "scheduler", "All 62 attempts are used."
    INVALID_TEMPLATE_PARAMETERS = (
        "invalid_template_parameters",
        "sender",
        "No message can be made of the job's template parameters.",
    )
    ENDED_SENDERS = "ended_senders", "sender", "Each sender that took the job ended, so it was not sent."


class TransportError(ReasonCode):
    """How a request to the Cloud API can end without an answer."""

    CONNECT = "connect_failed", "sender", "No connection was made: not sent."
    POOL = "no_free_connection", "sender", "No connection was free: not sent."
    UNUSABLE = "request_not_sendable", "sender", "The HTTP client refused the request: not sent."
    TIMEOUT = "timeout", "sender", "No answer came in time: unknown."
    DISCONNECT = "disconnected", "sender", "The connection ended before the answer: unknown."
    CLIENT = "client_failed", "sender", "The HTTP client raised an exception of its own: unknown."
    TOO_LARGE = "answer_too_large", "sender", "The answer exceeds the limit: unknown."


class UnclearAnswer(ReasonCode):
    """An answer of the Cloud API that leaves the outcome unknown.

    Answers with another HTTP status give `http_<status>` or `http_<status>_code_<code>`.
    """

    UNPARSABLE = "unparsable", "sender", "HTTP 200 with a body that is not a JSON object."
    ERROR_IN_200 = "error_in_200", "sender", "HTTP 200 with an error."
    NO_MESSAGES = "no_messages", "sender", "HTTP 200 without the list of messages that the Cloud API returns."


class ForeignCallback(ReasonCode):
    """Why the callback data of a status is not ours. The status is then matched by its message id."""

    FORMAT = "foreign_format", "reconciler", "It does not have our format."
    DEPLOYMENT = "foreign_deployment", "reconciler", "It is of another deployment."
    SIGNATURE = "foreign_signature", "reconciler", "Its signature does not match our secret."


class RecipientRefusal(ReasonCode):
    """Why the REST API does not add a phone number to a campaign."""

    EMPTY = "empty", "api", "The phone number is empty."
    NOT_A_STRING = "not_a_string", "api", "The phone number is neither a string nor a number."
    NOT_A_PHONE_NUMBER = (
        "not_a_phone_number",
        "api",
        "The text is not a phone number: it has letters or other signs, or brackets and separators in unusual places.",
    )
    SEVERAL_NUMBERS = "several_numbers", "api", "The text has more than one phone number."
    EXTENSION = "extension", "api", "The number is followed by an extension, which cannot be messaged."
    LOST_DIGITS = "lost_digits", "api", "A spreadsheet has rounded the number, as in 1.4E+10: some digits are lost."
    UNKNOWN_COUNTRY_CODE = "unknown_country_code", "api", "No country has the code that the number begins with."
    COUNTRY_CODE_MISSING = (
        "country_code_missing",
        "api",
        "The number has neither + nor 00 and is not valid as it is. Add its country code, or name the `country`.",
    )
    TRUNK_PREFIX = (
        "trunk_prefix",
        "api",
        "The country code is followed by a trunk prefix such as 0: write the number without it, or as (0).",
    )
    COUNTRY_CODE_TWICE = (
        "country_code_twice",
        "api",
        "The country code is there twice, as in +49 49 171: write the number with one.",
    )
    TOO_SHORT = "too_short", "api", "The number is too short for the country whose code it begins with."
    TOO_LONG = "too_long", "api", "The number is too long."
    WRONG_LENGTH = "wrong_length", "api", "The number does not have a length that its country uses."
    NOT_A_USER_ID = (
        "not_a_user_id",
        "api",
        "It is not a user id of WhatsApp: a country code, a dot, and letters and digits, as in US.1349120865.",
    )
    UNKNOWN_FIELD = "unknown_field", "api", "The recipient has a field that the API does not know."
    REPEATED_IN_REQUEST = "repeated_in_request", "api", "The number occurs earlier in the same request."
    ALREADY_IN_CAMPAIGN = "already_in_campaign", "api", "The campaign has this recipient."
    SAME_PERSON = (
        "same_person",
        "api",
        "The campaign or the request has the person by another spelling or a linked name: one person, one message.",
    )


class ParameterRefusal(ReasonCode):
    """Why template parameters cannot be sent. The recipient is then not added, or the attempt fails without a post."""

    NOT_PARAMETERS = "not_parameters", "api, sender", "The template parameters are neither a list nor an object."
    GAP = "parameter_gap", "api, sender", "A position between the first and the last parameter is missing."
    MIXED = "parameters_mixed", "api, sender", "Positional parameters are mixed with named ones or with components."
    NAME_INVALID = "parameter_name_invalid", "api, sender", "No template can have a parameter of this name."
    NESTED = "parameter_nested", "api, sender", "A list or an object is in the place of a text."
    NULL = "parameter_null", "api, sender", "A text is null."
    BOOLEAN = "parameter_boolean", "api, sender", "A text is true or false."
    NOT_FINITE = "parameter_not_finite", "api, sender", "A number is infinite, not a number, or too large."
    EMPTY = "parameter_empty", "api, sender", "A text is empty, or has nothing that a person would see."
    FORBIDDEN_WHITESPACE = (
        "parameter_whitespace",
        "api, sender",
        "A text has a line break, a tab, or more than 4 spaces in a row.",
    )
    CHARACTER = "parameter_character", "api, sender", "A text has a control character, or half of a character."
    TOO_LONG = "parameter_too_long", "api, sender", "A text, or all texts together, have too many characters."
    TOO_LARGE = "parameters_too_large", "api, sender", "There are too many parameters, or too many bytes."
    COMPONENTS_INVALID = "components_invalid", "api, sender", "A component does not have the form of the Cloud API."


class ParameterMisfit(ReasonCode):
    """Why the parameters of a recipient do not fit the template. Meta refuses such a message."""

    MISSING = "missing_parameter", "templates", "A variable of the template has no parameter."
    SUPERFLUOUS = "superfluous_parameter", "templates", "The template has no place for a parameter."
    WRONG_FORM = (
        "wrong_parameter_form",
        "templates",
        "The template has named parameters and the recipient positional ones, or the reverse.",
    )
    HEADER_MISSING = "header_missing", "templates", "The template has a header with a medium, and the message has none."
    HEADER_KIND = "header_kind", "templates", "The header of the message is of another kind than that of the template."
    BUTTON_MISSING = "button_missing", "templates", "A button of the template needs a parameter and has none."
    BUTTON_KIND = "button_kind", "templates", "A button of the message is of another kind than that of the template."
    BUTTON_SUPERFLUOUS = "button_superfluous", "templates", "The template has no such button, or it takes no parameter."
    CARDS = "cards_differ", "templates", "The carousel of the message has another number of cards than the template."
    TOO_LONG = "text_too_long", "templates", "A text with its parameters is longer than Meta takes."
    UNREADABLE = "parameters_unreadable", "templates", "The stored parameters have a form that no message can have."


class TemplateFault(ReasonCode):
    """What is wrong with the template of a campaign itself."""

    NOT_FOUND = "template_not_found", "templates", "The account has no template of this name."
    LANGUAGE_MISSING = "template_language_missing", "templates", "The template does not exist in this language."
    NOT_APPROVED = "template_not_approved", "templates", "Meta has not approved the template, or removes it."
    PAUSED = "template_paused", "templates", "Meta has paused the template because of its quality."
    DISABLED = "template_disabled", "templates", "Meta has disabled the template."
    NOT_MARKETING = "template_not_marketing", "templates", "The category of the template is not marketing."
    LOW_QUALITY = "template_low_quality", "templates", "The quality of the template is low, so Meta may pause it."
    UNREADABLE = "template_unreadable", "templates", "The templates cannot be read now, so nothing was compared."
    UNCHECKED = "recipients_unchecked", "templates", "The time was over before all recipients were compared."


class AdoptionRefusal(ReasonCode):
    """Why a row of another table is not adopted, and what is written for one that is."""

    UNKNOWN_STATUS = "unknown_status_word", "adopt", "The status is not one of the original table."
    IN_FUTURE = "time_in_future", "adopt", "A time of the row is in the future."
    ALREADY_PRESENT = "already_present", "adopt", "The campaign has the number, the person or the id already."
    SKIPPED_BEFORE = "skipped_before_adoption", "adopt", "The other system skipped the recipient."
    FAILED_BEFORE = "failed_before_adoption", "adopt", "The message failed in the other system, without a reason."


class LineRefusal(ReasonCode):
    """Why a line of an imported file is not read. The other lines are."""

    LINE_TOO_LONG = "line_too_long", "import", "The line has more than 65,536 characters."
    MALFORMED_LINE = "malformed_line", "import", "A quoted cell goes on after its quote. Write a quote in it twice."
    UNCLOSED_QUOTE = "unclosed_quote", "import", "A cell begins with a quote, and no quote ends it."
    TOO_MANY_CELLS = (
        "too_many_cells",
        "import",
        "The line has more cells than the first line. A cell with the delimiter in it, as 19,90, needs quotes.",
    )
    UNREADABLE_BYTES = "unreadable_bytes", "import", "A cell has bytes that are no text in the encoding of the file."
    SPREADSHEET_ERROR = "spreadsheet_error", "import", "A cell has an error of a spreadsheet, as #N/A."
    MALFORMED_JSON = "malformed_json", "import", "The line or its cell is not a recipient in strict JSON."


class RepairRefusal(ReasonCode):
    """Why a command that repairs data refused to act. The parts in brackets are commands of `campaigns`."""

    NOT_CONFIRMED = "not_confirmed", "unknown", "The option `--yes` is missing."
    NOT_UNKNOWN = "not_unknown", "unknown", "No selected recipient has an unknown outcome."
    ASKED_BEFORE = "asked_before", "unknown retry", "A retry of these recipients was already requested."
    RECONCILER_LAG = (
        "reconciler_lag",
        "unknown retry",
        "The reconciler has a backlog, and an answer may be in it.",
    )
    SINK_LAG = "sink_lag", "unknown retry", "The sink has a backlog, and an answer may be in it."
    TOO_YOUNG = (
        "too_young",
        "unknown retry",
        "An outcome has been unknown for less than 15 minutes, so its answer may still arrive.",
    )
    BUSY = "busy", "dead-letters redrive, dead-letters drop", "Another process redrives or drops dead letters now."
    NO_SUCH_CAMPAIGN = "no_such_campaign", "rebuild", "There is no campaign with this id."
    CAMPAIGN_ACTIVE = (
        "campaign_active",
        "rebuild",
        "The campaign is active, so a message could be sent during the rebuild.",
    )
    ANOTHER_TOPIC = (
        "another_topic",
        "rebuild",
        "The topic was deleted and recreated, so the stored offsets do not belong to it.",
    )
    MAKES_DUE = (
        "makes_due",
        "rebuild",
        "Rows would become due, so their recipients would be messaged again. The rows of earlier chunks were restored.",
    )


REASON_CODES: tuple[type[ReasonCode], ...] = (
    DeadLetterReason,
    ItemOutcome,
    EventOutcome,
    SkipReason,
    WaitReason,
    PauseReason,
    FailureReason,
    TransportError,
    UnclearAnswer,
    ForeignCallback,
    RecipientRefusal,
    ParameterRefusal,
    ParameterMisfit,
    TemplateFault,
    AdoptionRefusal,
    LineRefusal,
    RepairRefusal,
)
"""Every table of codes, in the order of the reference."""
