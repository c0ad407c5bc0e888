#!/usr/bin/env python3
"""Starts Plumbline and Debian's Prometheus side by side and runs promql_vs_prometheus.py against both.

Usage: promql_differential.py PLUMBLINE PROMETHEUS [arguments of promql_vs_prometheus.py...]
"""
import sys

from side_by_side import compare

FEATURES = "promql-at-modifier,promql-negative-offset,promql-per-step-stats"

if __name__ == "__main__":
    sys.exit(compare(sys.argv[1], sys.argv[2], FEATURES, "promql_vs_prometheus.py", sys.argv[3:]))
