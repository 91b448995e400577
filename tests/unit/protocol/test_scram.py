"""The server's half of SCRAM against RFC 7677's example and a client written for the test."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from rowvec.errors import AuthenticationError, ProtocolError
from rowvec.protocol.scram import Exchange, Verifier, prepared

# RFC 7677, section 3.
RFC_VERIFIER = Verifier.of("pencil", salt=base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
RFC_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
RFC_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
RFC_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)


def rfc_exchange(*, known_user: bool = True) -> Exchange:
    return Exchange([RFC_VERIFIER], "user", known_user=known_user, nonce=RFC_NONCE)


def client_final(password: str, first: bytes, server_first: bytes) -> bytes:
    fields = dict(f.split(b"=", 1) for f in server_first.split(b","))
    salted = hashlib.pbkdf2_hmac(
        "sha256", prepared(password), base64.b64decode(fields[b"s"]), int(fields[b"i"])
    )
    key = hmac.digest(salted, b"Client Key", "sha256")
    header = first[:3]
    without_proof = b"c=" + base64.b64encode(header) + b",r=" + fields[b"r"]
    message = b",".join((first[3:], server_first, without_proof))
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    return without_proof + b",p=" + base64.b64encode(proof)


def test_the_example_of_the_rfc() -> None:
    exchange = rfc_exchange()
    assert exchange.first(RFC_FIRST) == (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert exchange.final(RFC_FINAL) == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.mark.parametrize("first", [b"n,,n=,r=abc", b"y,,n=,r=abc", b"n,,n=someone,r=abc,ext=1"])
@pytest.mark.parametrize("password", ["sesame", "p\u00e4ss \u2168", "\u00ad"])
def test_the_right_password_is_let_in_whatever_the_name_in_the_exchange(
    first: bytes, password: str
) -> None:
    exchange = Exchange([Verifier.of(password)], "rowvec", known_user=True)
    server_first = exchange.first(first)
    assert exchange.final(client_final(password, first, server_first)).startswith(b"v=")


@pytest.mark.parametrize("password", ["new", "old"])
def test_any_of_the_passwords_is_let_in_and_proved_to(password: str) -> None:
    """The server's own proof is made with the password that the client has."""
    salt = bytes(16)
    verifiers = [Verifier.of(each, salt=salt) for each in ("new", "old")]
    exchange = Exchange(verifiers, "rowvec", known_user=True)
    server_first = exchange.first(b"n,,n=,r=abc")
    final = client_final(password, b"n,,n=,r=abc", server_first)
    message = b",".join((b"n=,r=abc", server_first, final.rpartition(b",p=")[0]))
    key = Verifier.of(password, salt=salt).server_key
    proof = base64.b64encode(hmac.digest(key, message, "sha256"))
    assert exchange.final(final) == b"v=" + proof


@pytest.mark.parametrize(("password", "known_user"), [("wrong", True), ("sesame", False)])
def test_a_wrong_password_and_an_unknown_user_fail_alike(
    password: str, *, known_user: bool
) -> None:
    exchange = Exchange([Verifier.of("sesame")], "x", known_user=known_user)
    server_first = exchange.first(b"n,,n=,r=abc")
    with pytest.raises(AuthenticationError, match=r'^password authentication failed for user "x"$'):
        exchange.final(client_final(password, b"n,,n=,r=abc", server_first))


def test_an_unknown_user_gets_the_same_salt_each_time() -> None:
    verifier = Verifier.of("sesame")

    def salt(user: str) -> bytes:
        first = Exchange([verifier], user, known_user=False).first(b"n,,n=,r=abc")
        return first.split(b",")[1]

    assert salt("x") == salt("x") != salt("y")


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"p=tls-server-end-point,,n=,r=abc",
        b"n,a=other,n=,r=abc",
        b"n,,n=,r=",
        b"n,,r=abc",
        b"n,,n=",
    ],
)
def test_a_bad_first_message_is_a_protocol_error(first: bytes) -> None:
    with pytest.raises(ProtocolError):
        rfc_exchange().first(first)


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"c=biws,r=other,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        RFC_FINAL.replace(b"c=biws", b"c=eSws"),
        RFC_FINAL.partition(b",p=")[0],
        RFC_FINAL.partition(b",p=")[0] + b",p=AAAA",
        RFC_FINAL.partition(b",p=")[0] + b",p=!",
    ],
)
def test_a_bad_final_message_is_a_protocol_error(final: bytes) -> None:
    exchange = rfc_exchange()
    exchange.first(RFC_FIRST)
    with pytest.raises(ProtocolError):
        exchange.final(final)
