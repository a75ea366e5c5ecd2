"""Backup verification: backups exist, and restore drills prove that the books come back."""
