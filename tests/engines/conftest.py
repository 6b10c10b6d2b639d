"""Assertions of the contract tell what they compared, like those of tests."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.engines.contract")
