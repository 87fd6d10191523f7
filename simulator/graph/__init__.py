"""The endpoints of the Graph API beside those for sends: media, templates, groups, accounts and numbers."""
