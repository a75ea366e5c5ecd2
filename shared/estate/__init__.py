"""The declared estate: one file that decides everything; its models, its loading and its errors."""
