"""What all tests share, the optimizer's and the laboratory's: hypothesis draws the same cases."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "stable",
    derandomize=True,
    database=None,
    deadline=None,  # the machines that run this are shared
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("stable")
