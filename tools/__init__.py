"""Programs for people: the command line, and what it offers beside the services. No service imports them."""
