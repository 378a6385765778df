"""Checks that prove: a fused op against the exact value of its definition, any function against exact differences."""

from tinygrad_sm.check.comparing import Comparison, compare
from tinygrad_sm.check.gradients import gradcheck
from tinygrad_sm.check.judging import Finding
from tinygrad_sm.check.verdicts import Element, Report

__all__ = ["Comparison", "Element", "Finding", "Report", "compare", "gradcheck"]
