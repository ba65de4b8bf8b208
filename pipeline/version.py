"""The one place that states VNOME's version."""

VERSION = "0.1.0"
