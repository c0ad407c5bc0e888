#!/usr/bin/env python3
"""Starts Plumbline and Debian's Prometheus side by side and runs native_histograms_vs_prometheus.py against both.

Usage: native_histograms_differential.py PLUMBLINE PROMETHEUS [arguments of native_histograms_vs_prometheus.py...]
"""
import sys

from side_by_side import compare

if __name__ == "__main__":
    sys.exit(compare(sys.argv[1], sys.argv[2], "native-histograms", "native_histograms_vs_prometheus.py", sys.argv[3:]))
