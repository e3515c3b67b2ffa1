"""Metadata and settings live in setup.cfg; this file lets older tools find them."""

from setuptools import setup

setup()
