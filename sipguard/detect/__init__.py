"""Events to findings: one file per attack, none knows another; pure."""
