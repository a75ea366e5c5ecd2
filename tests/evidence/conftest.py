"""Property tests here are bounded by their number of examples, not by a busy machine's clock."""

from hypothesis import HealthCheck, settings

settings.register_profile("evidence", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("evidence")
