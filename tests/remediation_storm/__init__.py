"""Storms of alerts through the app's real endpoint, and what senders of each kind see."""
