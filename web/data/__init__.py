"""The dashboard's data as JSON: /api/dashboard/*."""
