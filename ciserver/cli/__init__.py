"""The command line: words in, service calls or HTTP requests out. No rules live here."""
