"""Who may do what: API keys, short-lived tokens and tokens of other issuers."""
