"""Experiments: a topology, what is varied, replications; results as data frames with confidence intervals."""

from __future__ import annotations

from lab.experiments.experiment import Experiment
from lab.experiments.results import Results, load
from lab.experiments.statistics import Interval, interval

__all__ = ["Experiment", "Interval", "Results", "interval", "load"]
