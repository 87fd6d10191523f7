"""Names of formats in the OpenAPI document that JSON Schema does not define. Programs may offer fitting inputs."""

from __future__ import annotations

ZONE_FORMAT = "iana-time-zone"
"""A name of the IANA list of time zones, such as America/Sao_Paulo."""
PERSON_FORMAT = "phone-number-or-user-id"
"""A phone number in any spelling, or a WhatsApp user id."""
FILE_FORMAT = "file-of-recipients"
"""A file with a column of phone numbers."""
COUNTRY_FORMAT = "iso-3166-country"
"""The ISO 3166 code of a country whose national numbers can be read."""
