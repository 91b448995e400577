"""Addresses of settings and requests, and which of them are this machine."""

from __future__ import annotations

import pytest

from rowvec.addresses import is_loopback, name_in, split_address
from rowvec.errors import ConfigError


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:5466", ("127.0.0.1", 5466)), ("[::1]:1", ("::1", 1)), ("db:0", ("db", 0))],
)
def test_an_address_is_a_host_and_a_port(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected


@pytest.mark.parametrize("address", ["", "host", ":5466", "host:", "host:x", "host:70000"])
def test_what_is_no_address_is_a_config_error(address: str) -> None:
    with pytest.raises(ConfigError):
        split_address(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "LocalHost", "a.localhost"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "::", "10.0.0.1", "localhost.example.com", "127.0.0.1.nip.io"]
)
def test_what_reaches_beyond_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("header", "name"),
    [("localhost:80", "localhost"), ("[::1]:80", "::1"), ("10.0.0.1", "10.0.0.1"), ("", ""),
     ("127.0.0.1@elsewhere", ""), ("elsewhere@127.0.0.1", ""), ("127.0.0.1/x", ""), ("a b", "")],
)  # fmt: skip
def test_the_name_in_a_header_host(header: str, name: str) -> None:
    assert name_in(header) == name
