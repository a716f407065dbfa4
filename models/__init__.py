"""The business: tables, rules and permissions. Nothing here knows of HTTP, forms or templates."""
