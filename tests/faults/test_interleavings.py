"""Any interleaving of audio, finalize, pause, failures and lost sockets; in virtual time."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sttgate.app import create_app
from sttgate.client import connect
from sttgate.session import entries
from tests.faults.engines.parrot import KINDS_THAT_PASS, POINTS
from tests.faults.promises import Report
from tests.faults.proxy import FaultProxy
from tests.faults.sessions import parrot
from tests.faults.speech import WORD_BYTES, check, count, pcm_of, plain, speech
from tests.faults.virtual import run_virtually
from tests.session.engines import build_house
