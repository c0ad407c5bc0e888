#!/usr/bin/python3
"""Compares Plumbline's statistics with numpy and scipy, value for value, to 1e-9.

usage: scipy_oracle.py ML_ORACLE CALIFORNIA_DIR BIKE_SHARING_ZIP [--seed N]

ML_ORACLE is the test program built from tests/query/ml_oracle_main.cpp. Every value is recomputed here from the raw columns:
KS by scipy.stats.ks_2samp, chi-square by scipy.stats.chi2_contingency, PSI from its written definition with numpy quantiles,
ROC-AUC by scipy.stats.rankdata, the finite-n Kolmogorov survival function by scipy.stats.kstwo. Exit code 1 on any difference.
"""
import argparse
import csv
import io
import json
import math
import os
import subprocess
import sys
import warnings
import zipfile
from collections import Counter, defaultdict

import numpy as np
import scipy
from scipy import stats

warnings.simplefilter("ignore")  # ks_2samp announces its own fallbacks, which are part of what is compared
TOLERANCE = 1e-9


class Suite:
    def __init__(self):
        self.requests = []
        self.expected = []

    def number(self, name, reference, window):
        self.requests.append(
            "number %s %d %d\n%s\n" % (name, len(reference), len(window),
                                       "\n".join(map(repr, [float(x) for x in list(reference) + list(window)]))))
        self.expected.append((name, number_values(np.asarray(reference, float), np.asarray(window, float))))

    def category(self, name, reference, window):
        self.requests.append("category %s %d %d\n%s\n" % (name, len(reference), len(window),
                                                          "\n".join(list(reference) + list(window))))
        self.expected.append((name, category_values(list(reference), list(window))))

    def auc(self, name, scores, labels, published=None):
        self.requests.append("auc %s %d 0\n%s\n" % (name, len(scores),
                                                    "\n".join("%r %d" % (float(s), l) for s, l in zip(scores, labels))))
        value = auc_value(np.asarray(scores, float), np.asarray(labels))
        if published is not None and abs(value - published) > 5e-5:
            print("FAIL %s: published %.4f, recomputed %.6f" % (name, published, value))
            sys.exit(1)
        self.expected.append((name, {"auc": value}))

    def survival(self, name, cases):
        self.requests.append("kstwo %s %d 0\n%s\n" % (name, len(cases), "\n".join("%d %r" % c for c in cases)))
        self.expected.append((name, {"sf": [float(stats.kstwo.sf(d, n)) for n, d in cases]}))

    def run(self, program):
        done = subprocess.run([program], input="".join(self.requests), capture_output=True, text=True, check=True)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        if len(answers) != len(self.expected):
            print("FAIL: %d answers for %d requests" % (len(answers), len(self.expected)))
            return 1
        compared, worst, failures = 0, 0.0, 0
        for answer, (name, values) in zip(answers, self.expected):
            for key, wanted in values.items():
                got = answer[key]
                pairs = list(zip(got, wanted)) if isinstance(wanted, list) else [(got, wanted)]
                if isinstance(wanted, list) and len(got) != len(wanted):
                    print("FAIL %s %s: %d values, expected %d" % (name, key, len(got), len(wanted)))
                    failures += 1
                for g, w in pairs:
                    compared += 1
                    error = difference(g, w)
                    worst = max(worst, error)
                    if error > TOLERANCE:
                        failures += 1
                        print("FAIL %s %s: plumbline %r, oracle %r" % (name, key, g, w))
        print("scipy %s, numpy %s: %d values of %d comparisons, worst relative difference %.2e, %d failures" %
              (scipy.__version__, np.__version__, compared, len(self.expected), worst, failures))
        return 1 if failures else 0


def difference(got, wanted):
    """Relative, and absolute below 1e-290 where doubles lose their digits."""
    if got is None or wanted is None:
        return 0.0 if got is wanted else math.inf
    if isinstance(wanted, bool):
        return 0.0 if got == wanted else math.inf
    if got == wanted:
        return 0.0
    return abs(got - wanted) / max(abs(wanted), 1e-290)


def edges_of(reference):
    edges = np.unique(np.quantile(reference, np.arange(1, 10) / 10))
    if len(edges) and edges[0] == reference.min():
        edges = np.concatenate([[np.nextafter(edges[0], -np.inf)], edges])
    return edges


def psi_of(reference, window):
    reference, window = np.asarray(reference, float), np.asarray(window, float)
    r = (reference + 0.5) / (reference.sum() + 0.5 * len(reference))
    w = (window + 0.5) / (window.sum() + 0.5 * len(window))
    return float(np.sum((r - w) * np.log(r / w)))


def chi_of(reference, window):
    table = np.array([reference, window])
    table = table[:, table.sum(axis=0) > 0]
    result = stats.chi2_contingency(table)
    return {"chi": float(result[0]), "chi_p": float(result[1]), "chi_dof": int(result[2])}


def number_values(reference, window):
    edges = edges_of(reference)
    r = np.bincount(np.searchsorted(edges, reference, side="left"), minlength=len(edges) + 1)
    w = np.bincount(np.searchsorted(edges, window, side="left"), minlength=len(edges) + 1)
    psi = psi_of(r, w)
    dof = int(((r + w) > 0).sum()) - 1
    ks = stats.ks_2samp(reference, window)
    values = {"edges": [float(e) for e in edges], "psi": psi,
              "psi_p": float(stats.chi2.sf(psi / (1 / len(reference) + 1 / len(window)), dof)) if dof > 0 else 1.0,
              "ks": float(ks[0]), "ks_p": float(ks[1])}
    values.update(chi_of(r, w))
    return values


def category_values(reference, window):
    counts, now = Counter(reference), Counter(window)
    order = sorted(counts, key=lambda c: (-counts[c], c.encode()))
    top, other = order[:100], order[100:]
    r = [counts[c] for c in top] + [sum(counts[c] for c in other), 0]
    w = [now[c] for c in top] + [sum(now[c] for c in other), sum(v for c, v in now.items() if c not in counts)]
    values = {"psi": psi_of(r, w)}
    values.update(chi_of(r, w))
    return values


def auc_value(scores, labels):
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    if positives == 0 or negatives == 0:
        return None
    ranks = stats.rankdata(scores)
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def california(suite, folder):
    read = lambda name: list(csv.DictReader(open(os.path.join(folder, name), newline="")))
    reference, analysis = read("reference.csv"), read("analysis.csv")
    truth = {row["id"]: int(row["clf_target"]) for row in read("analysis_gt.csv")}
    months = defaultdict(list)
    for row in analysis:
        months[row["timestamp"][:7]].append(row)
    features = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude",
                "y_pred_proba"]
    for month, rows in sorted(months.items()):
        for feature in features:
            suite.number("california/%s/%s" % (month, feature), [float(r[feature]) for r in reference],
                         [float(r[feature]) for r in rows])
        bucket = lambda r: "decade-%d" % (float(r["HouseAge"]) // 10)
        suite.category("california/%s/HouseAgeDecade" % month, [bucket(r) for r in reference], [bucket(r) for r in rows])
        suite.category("california/%s/y_pred" % month, [r["y_pred"] for r in reference], [r["y_pred"] for r in rows])
    # Realised ROC-AUC by month, as NannyML's example shows it.
    published = [.8842, .7601, .7043, .6698, .8335, .7315, .9339, .8694, .9335, .7049, .9754, .9509]
    for (month, rows), value in zip(sorted(months.items()), published):
        labelled = [r for r in rows if r["id"] in truth]
        suite.auc("california/%s/auc" % month, [float(r["y_pred_proba"]) for r in labelled],
                  [truth[r["id"]] for r in labelled], value)


def bike_sharing(suite, path):
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("hour.csv"), newline="")))
    months = defaultdict(list)
    for row in rows:
        months[row["dteday"][:7]].append(row)
    names = sorted(months)
    reference = [r for r in rows if r["dteday"] < "2012-01-01"]  # 2011 is the reference: 8,645 rows
    for month in names[12:]:
        for feature in ["temp", "atemp", "hum", "windspeed", "casual", "registered", "cnt", "hr", "weekday", "holiday"]:
            suite.number("bike/%s/%s" % (month, feature), [float(r[feature]) for r in reference],
                         [float(r[feature]) for r in months[month]])
        for feature in ["season", "weathersit", "workingday", "mnth"]:
            suite.category("bike/%s/%s" % (month, feature), [r[feature] for r in reference],
                           [r[feature] for r in months[month]])
    # Everything against its own second half: both samples near 8,700 rows, the slowest exact count.
    for feature in ["temp", "hum", "cnt"]:
        suite.number("bike/2012/" + feature, [float(r[feature]) for r in reference],
                     [float(r[feature]) for r in rows if r["dteday"] >= "2012-01-01"])


def edge_cases(suite, seed):
    random = np.random.default_rng(seed)
    sizes = [(1, 1), (1, 2), (2, 3), (3, 3), (5, 7), (10, 10), (25, 40), (100, 100), (100, 37), (200, 5000), (5000, 200),
             (2000, 9000), (9999, 10000), (10000, 10000), (10001, 10), (20000, 3000), (15000, 15000), (1, 20000)]
    for n, m in sizes:
        for shift in (0.0, 0.05, 0.5, 3.0):
            for ties in (False, True):
                a, b = random.normal(size=n), random.normal(size=m) + shift
                if ties:
                    a, b = np.round(a, 1), np.round(b, 1)
                suite.number("random/%d-%d/shift-%g/ties-%d" % (n, m, shift, ties), a, b)
    suite.number("constant/equal", [3.0] * 500, [3.0] * 400)
    suite.number("constant/up", [3.0] * 500, [4.0] * 400)
    suite.number("constant/down", [3.0] * 500, [2.0] * 400)
    suite.number("binary", (random.random(1000) < .3).astype(float), (random.random(800) < .4).astype(float))
    suite.number("heavy-tail", random.pareto(0.8, 3000), random.pareto(1.0, 2000))
    suite.number("signed-zero", [0.0, -0.0] * 50, [-0.0] * 40 + [1.0] * 3)
    suite.number("large", random.normal(1e15, 1, 1000), random.normal(1e15 + 1, 1, 1000))
    for n, m, k in [(3, 2, 2), (50, 60, 2), (300, 200, 5), (5000, 4000, 99), (20000, 10000, 250)]:
        a, b = random.zipf(1.5, n) % k, random.zipf(1.4, m) % (k + 3)
        suite.category("categories/%d-%d-%d" % (n, m, k), ["c%d" % x for x in a], ["c%d" % x for x in b])
    suite.category("categories/one", ["x"] * 10, ["x"] * 5)
    suite.category("categories/disjoint", ["x"] * 10, ["y"] * 5)
    suite.auc("auc/ties", np.round(random.random(2000), 1), (random.random(2000) < .4).astype(int))
    suite.auc("auc/one-class", random.random(10), [1] * 10)
    cases = []
    for n in (1, 2, 3, 10, 50, 139, 140, 141, 300, 1000, 5000, 9999, 20000, 100000):
        ds = [t / n for t in (.3, .55, .9, 1.0, 1.3, 2.0, 2.5)] + [z / math.sqrt(n) for z in
                                                                   (.05, .1, .2, .3, .5, .7, .9, 1.1, 1.4, 1.6, 2, 3, 4, 6, 10)]
        cases += [(n, d) for d in ds + [.3, .49, .5, .6, .9, .99] if d < 1]
    suite.survival("kstwo", cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("california")
    parser.add_argument("bike_sharing")
    parser.add_argument("--seed", type=int, default=20240501)
    arguments = parser.parse_args()
    print("seed %d" % arguments.seed)
    suite = Suite()
    california(suite, arguments.california)
    bike_sharing(suite, arguments.bike_sharing)
    edge_cases(suite, arguments.seed)
    return suite.run(arguments.program)


if __name__ == "__main__":
    sys.exit(main())
