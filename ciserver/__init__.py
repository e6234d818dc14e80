"""ciserver: a push becomes an evaluation, the evaluation becomes builds, builds tell."""

__version__ = "0.1.0"
