"""The error codes of the Cloud API as the simulator sends them: title, details, HTTP status, and channel.

The table is written from Meta's public reference and must not be shared with the pipeline. So two independent readings
of the reference check each other. HTTP statuses come from the last version of the reference that listed them. Other
codes have 400.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ErrorChannel = Literal["sync", "async", "both"]
"""sync: the code comes in the answer to the send. async: it comes in a `failed` status."""


@dataclass(frozen=True, slots=True)
class CloudError:
    """One error code. The field `way` is its channel, under the name that `/_simulator/errors` shows."""

    code: int
    title: str
    http_status: int
    way: ErrorChannel = "sync"
    details: str = ""


def error_of(code: int) -> CloudError:
    """The entry of a code. An undocumented code gets status 400, like a code that Meta has just introduced."""
    return CLOUD_ERRORS.get(code) or CloudError(code, "Unknown error", 400, "both")


ROWS = (
    # Access and permissions
    CloudError(0, "AuthException", 401, details="We were unable to authenticate the app user"),
    CloudError(3, "API Method", 500, details="Capability or permissions issue"),
    CloudError(10, "Permission Denied", 403, details="Permission is either not granted or has been removed"),
    CloudError(104, "An access token is required to request this resource", 401),
    CloudError(190, "Access token has expired", 401, details="Your access token has expired"),
    CloudError(200, "Provide valid app ID", 403),
    CloudError(131005, "Access denied", 403, details="Permission is either not granted or has been removed"),
    # Integrity and account
    CloudError(368, "Temporarily blocked for policies violations", 403),
    CloudError(130497, "Business account is restricted from messaging users in this country", 400, "both"),
    CloudError(131031, "Account has been locked", 403, "both", "Business Account locked"),
    CloudError(131037, "Display name approval is needed before messages can be sent", 400, "both"),
    CloudError(131042, "Business eligibility payment issue", 400, "both"),
    CloudError(131044, "Business eligibility: payment method missing", 400),
    CloudError(131045, "Incorrect certificate", 500, "both", "Phone number registration error"),
    CloudError(134011, "WhatsApp Payments terms of service have not been accepted", 400),
    # Throttling
    CloudError(4, "Application request limit reached", 400),
    CloudError(613, "Calls to this api have exceeded the rate limit", 429),
    CloudError(80007, "Rate limit issues", 400),
    CloudError(80008, "There have been too many calls to this WhatsApp Business account", 400),
    CloudError(130429, "Rate limit hit", 429, "both", "Cloud API message throughput has been reached"),
    CloudError(131048, "Spam rate limit hit", 400, "both"),
    CloudError(131056, "Pair rate limit hit", 400, "both"),
    CloudError(131064, "Messaging limit reached: template classification violations", 400, "both"),
    CloudError(133016, "Account register deregister rate limit exceeded", 400),
    # Service
    CloudError(1, "API Unknown", 400, details="Invalid request or possible server error"),
    CloudError(2, "API Service", 503, details="Temporary due to downtime or due to being overloaded"),
    CloudError(131000, "Something went wrong", 500, "both", "Message failed to send due to an unknown error"),
    CloudError(131016, "Service unavailable", 500, "both", "A service is temporarily unavailable"),
    CloudError(131057, "Account in maintenance mode", 500, "both"),
    # The person
    CloudError(130403, "Business has blocked this user", 400, "both"),
    CloudError(130472, "User's number is part of an experiment", 400, "both"),
    CloudError(131021, "Recipient cannot be sender", 400),
    CloudError(131026, "Message undeliverable", 400, "both", "Unable to deliver message"),
    CloudError(131030, "Recipient phone number not in allowed list", 400),
    CloudError(131047, "Re-engagement message", 400, "both"),
    CloudError(
        131049,
        "This message was not delivered to maintain healthy ecosystem engagement.",
        400,
        "async",
        "In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
    ),
    CloudError(131050, "User has stopped receiving marketing messages from this business", 400, "async"),
    CloudError(131062, "Business-scoped user ID recipients are not supported for this message", 400),
    CloudError(137000, "Identity key hash mismatch", 400, "async"),
    # The request
    CloudError(33, "Parameter value is not valid", 400, details="The business phone number has been deleted"),
    CloudError(100, "Invalid parameter", 400, details="One or more unsupported or misspelled parameters"),
    CloudError(130501, "Message type is not currently supported", 400),
    CloudError(131008, "Required parameter is missing", 400),
    CloudError(131009, "Parameter value is not valid", 400),
    CloudError(131014, "Request for url failed", 400, "async", "The media URL answered with 404"),
    CloudError(131051, "Unsupported message type", 400, "both", "Message type is not currently supported."),
    CloudError(131052, "Media download error", 400, "async", "Unable to download the media sent by the user"),
    CloudError(131053, "Media upload error", 400, "both", "Unable to upload the media used in the message"),
    CloudError(131055, "Method not allowed", 400, details="Only marketing templates are allowed"),
    CloudError(131061, "Max-price templates cannot be sent through this endpoint", 400),
    CloudError(131063, "Marketing templates are disabled on Cloud API for this account", 400),
    CloudError(135000, "Generic user error", 400, "both"),
    # Templates
    CloudError(132000, "Template Param Count Mismatch", 400),
    CloudError(132001, "Template does not exist", 404),
    CloudError(132005, "Template Hydrated Text Too Long", 400),
    CloudError(132007, "Template Format Character Policy Violated", 400),
    CloudError(132008, "Template Parameter Value Invalid", 400),
    CloudError(132012, "Template Parameter Format Mismatch", 400),
    CloudError(132015, "Template is Paused", 400, "both", "Template is paused due to low quality"),
    CloudError(132016, "Template is Disabled", 400, "both", "Template has been paused too many times"),
    CloudError(132018, "Template parameters are not valid", 400),
    CloudError(132068, "Flow is blocked", 400),
    CloudError(132069, "Flow is throttled", 400),
    # Registration of the number
    CloudError(133000, "Incomplete Deregistration", 500),
    CloudError(133004, "Server Temporarily Unavailable", 503),
    CloudError(133005, "Two step verification PIN Mismatch", 400),
    CloudError(133006, "Phone number re-verification needed", 400),
    CloudError(133008, "Too Many two step verification PIN Guesses", 400),
    CloudError(133009, "Two step verification PIN Guessed Too Fast", 400),
    CloudError(133010, "Phone number Not Registered", 400),
    CloudError(133015, "Please wait a few minutes before attempting to register this phone number", 400),
    # Marketing Messages API
    CloudError(134100, "Only marketing messages are supported", 400),
    CloudError(134101, "Template is syncing", 400),
    CloudError(134102, "Template unavailable for use", 500),
    CloudError(134103, "Account not eligible for marketing messages", 500),
    CloudError(1752041, "Duplicate onboarding request", 400),
    # Codes of management calls. They answer a send only if a rule forces that.
    CloudError(200005, "Template insights are not available", 400),
    CloudError(200006, "Template insights cannot be disabled", 400),
    CloudError(200007, "Template insights are not enabled", 400),
    CloudError(2388012, "Phone number is already registered", 400),
    CloudError(2388019, "Message template limit exceeded", 400),
    CloudError(2388039, "Template format is incorrect", 400),
    CloudError(2388040, "Character limit exceeded", 400),
    CloudError(2388047, "Message header format is incorrect", 400),
    CloudError(2388072, "Message body format is incorrect", 400),
    CloudError(2388073, "Message footer format is incorrect", 400),
    CloudError(2388091, "Phone number cannot be migrated", 400),
    CloudError(2388093, "Two step verification is not disabled", 400),
    CloudError(2388103, "Phone number migration is not allowed", 400),
    CloudError(2388293, "Template ratio of parameters to words exceeds the limit", 400),
    CloudError(2388299, "Variables cannot be at the start or end of the template", 400),
    CloudError(2494100, "Phone number is in maintenance mode", 400),
    CloudError(2593107, "Synchronization request limit exceeded", 400),
    CloudError(2593108, "Synchronization request made outside of the allowed time window", 400),
    # Codes of the On-Premises API, which some providers still send
    CloudError(400, "Bad request", 400, "both"),
    CloudError(470, "Message failed to send because too much time has passed since the last reply", 400),
    CloudError(1026, "Receiver incapable", 400, "async"),
)

CLOUD_ERRORS: dict[int, CloudError] = {row.code: row for row in ROWS}
