"""Command-line programs and what they offer beside the services. No service imports them."""
