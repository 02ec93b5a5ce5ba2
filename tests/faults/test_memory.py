"""The largest config that the verifier reads fits into the memory of the Lambda, whatever values the config has.

Each verification runs in a process of its own, as in a new Lambda.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from image_verifier.image.model import MAX_CONFIG_BYTES

from local_engines.checkout import ROOT
from tests.faults.faulty_aws import FaultyAws
from tests.faults.worlds import event, good

_MEBIBYTE = 1 << 20
# The Lambda has 512 MiB, also for what its runtime needs.
_MOST = 400 * _MEBIBYTE
_SECONDS = 300
_VERIFY = """
import contextlib, io, json, sys
from image_verifier.entrypoints.custom_resource import handler
from tests.faults.worlds import Context
from tests.memory import most_memory
with contextlib.redirect_stdout(io.StringIO()):
    handler(json.load(sys.stdin), Context(float(sys.argv[1])))
print(most_memory())
"""
_ROOM = MAX_CONFIG_BYTES - 2000
# One emoji makes Python keep every character of a string in four bytes.
_LONG = "\U0001f600" + "a" * (_ROOM - 4)
# A config may have 250,000 values.
_MANY = 240_000

Encode = Callable[[dict[str, Any]], bytes]


def _text(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _member(content: bytes) -> Encode:
    """Adds a member, in JSON, to a config."""
    return lambda config: _text(config)[:-1] + b"," + content + b"}"


def _long(name: str) -> Encode:
    """Replaces a member of a config."""
    return lambda config: _text({**config, name: _LONG})


def _setting(name: str, value: Any) -> Encode:
    """Replaces a member of a config's `config`."""
    return lambda config: _text({**config, "config": {**config["config"], name: value}})


_CONFIGS: dict[str, Encode] = {
    "a long label": _setting("Labels", {"x": _LONG}),
    "a long working directory": _setting("WorkingDir", _LONG),
    "a working directory of URLs": _setting("WorkingDir", "http://" * (_ROOM // 7)),
    "a long architecture": _long("architecture"),
    "a long time": _long("created"),
    "a long number": _member(b'"x":' + b"9" * _ROOM),
    "a text that is not UTF-8": _member(b'"x":"' + b"\xff" * _ROOM + b'"'),
    "many labels": _setting("Labels", {f"k{number:050d}": "v" for number in range(_MANY)}),
    "many broken variables": _setting("Env", ["\0" * 10] * _MANY),
    "many diff IDs": lambda config: _text({**config, "rootfs": {"type": "layers", "diff_ids": ["0" * 64] * 230_000}}),
    "too many values": _member(b'"history":[' + b"{}," * (_ROOM // 3 - 10) + b"{}]"),
    "deep nesting": _member(b'"x":' + b"[" * _ROOM),
    "no JSON": lambda _: b"\xff" * _ROOM,
}


@pytest.mark.parametrize("encode", _CONFIGS.values(), ids=list(_CONFIGS))
def test_a_config_of_16_mib_is_verified_in_less_memory_than_the_lambda_has(server: FaultyAws, encode: Encode) -> None:
    world = server.world()
    good(world, encode=encode)
    done = subprocess.run(
        [sys.executable, "-c", _VERIFY, str(_SECONDS)],
        input=json.dumps(event(world, "Create")),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    ((_, body),) = world.responses
    # The advice of a response that was sent because the time was over.
    assert "the ImageVerifier more memory" not in " ".join(json.loads(body)["Reason"].split())
    assert int(done.stdout) < _MOST
