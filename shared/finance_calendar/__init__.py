"""Business days, fiscal periods, peaks, freezes and tightenings: the finance calendar, without effects.

`declaration` says what may be declared, `calendar` compiles it and answers, `windows` knows local time.
"""
