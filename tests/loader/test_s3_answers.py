"""Whatever a server answers, reading ends in the right bytes or in a FetchError that says what is wrong."""

import os
import re
import time

import pytest

import loader
from loader._fetch import s3
from loader._fetch.s3 import S3Object
from tests.helpers.scripted_s3 import error, part, response, scripted_s3

DATA = bytes(range(256)) * 40
OFFSET, SIZE = 1000, 300
WANTED = DATA[OFFSET : OFFSET + SIZE]
RANGE = f"bytes {OFFSET}-{OFFSET + SIZE - 1}/{len(DATA)}"
KEYS = (("access_key_id", "AKIDUSER"), ("secret_access_key", "secret"), ("session_token", "TOKENUSER"))


@pytest.fixture
def server(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setattr(s3, "FIRST_PAUSE_SECONDS", 0.001)
    with scripted_s3() as running:
        yield running


def an_object(server, keys=KEYS, **options):
    used = tuple(sorted((*keys, *{"endpointurl": server.url, **options}.items())))
    return S3Object("s3://bucket/key", len(DATA), "small", "public", used)


def read(server, **options):
    return an_object(server, **options).read(OFFSET, SIZE)


def failure(server, **options):
    with pytest.raises(loader.FetchError) as raised:
        read(server, **options)
    message = str(raised.value)
    assert "'public'" in message
    assert "\n" not in message
    return message


def answer(server, data):
    server.answer = lambda request, send: send(data)


def chunked(body, pieces=3):
    step = -(-len(body) // pieces)
    chunks = [body[at : at + step] for at in range(0, len(body), step)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


RIGHT = {
    "a part": lambda request: part(DATA, request),
    "a part in chunks, without a length": lambda _: (
        response(206, Content_Length=None, Content_Range=RANGE, Transfer_Encoding="chunked") + chunked(WANTED)
    ),
    "a part without a length, up to the end of the connection": lambda _: (
        response(206, Content_Length=None, Content_Range=RANGE) + WANTED
    ),
    "a part that does not say which": lambda _: response(206, WANTED),
    "the whole object": lambda _: response(200, DATA),
    "the whole object, called a web page": lambda _: response(200, DATA, Content_Type="text/html"),
    "the whole object in chunks": lambda _: (
        response(200, Content_Length=None, Transfer_Encoding="chunked") + chunked(DATA)
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_the_right_bytes_are_returned(server, case):
    server.answer = lambda request, send: send(RIGHT[case](request))
    assert read(server) == WANTED


LOGIN = b"<!DOCTYPE html><form>Log in</form>"
WRONG = {
    "login page": (response(200, LOGIN, Content_Type="text/html; charset=utf-8"), "a web page instead of s3://bucket/"),
    "login page in chunks": (
        response(200, Content_Length=None, Content_Type="text/html", Transfer_Encoding="chunked") + chunked(LOGIN),
        "a web page instead of s3://bucket/key",
    ),
    "other part": (response(206, WANTED, Content_Range=f"bytes 0-299/{len(DATA)}"), "sends the bytes 0 to 299 instead"),
    "short object": (
        response(206, WANTED[:24], Content_Range="bytes 1000-1023/1024"),
        "ends before byte 1,300 .*: make push DATASET=small PUBLIC=1",
    ),
    "whole short object": (response(200, DATA[:1024]), "ends before byte 1,300 .*: make push DATASET=small PUBLIC=1"),
    "whole longer object": (response(200, DATA + b"x"), "sends 10241 bytes instead of the recorded 10,240"),
    "more than asked for": (response(206, WANTED + b"x"), "sends more than the 300 bytes"),
    "fewer, twice": (response(206, WANTED[:-1]), "tried 5 times"),
    "redirect": (
        response(307, Location="http://other.example/key?token=hidden"),
        r"is not at http://127\S+, but at http://other\.example/key\?token=\*\*\*: .*endpointurl <its URL>",
    ),
    "redirect to a login page": (response(302, LOGIN, Location="http://login.example/"), r"at http://login\.example/"),
    "other address": (
        error(301, "PermanentRedirect", "<Endpoint>bucket.elsewhere.example</Endpoint>"),
        r"but at bucket\.elsewhere\.example: .*dvc remote modify --local public endpointurl",
    ),
    "other region": (
        error(301, "PermanentRedirect", x_amz_bucket_region="eu-west-9"),
        "but in the region eu-west-9: dvc remote modify --local public region eu-west-9",
    ),
    "wrong region name": (error(301, "PermanentRedirect", x_amz_bucket_region="../x"), "public"),
    "wrong signing region": (
        error(400, "AuthorizationHeaderMalformed", "<Region>eu-west-9</Region>"),
        "in the region eu-west-9",
    ),
    "wrong clock": (error(403, "RequestTimeTooSkewed"), "the clock of this machine is wrong .*: set the clock"),
    "missing": (error(404, "NoSuchKey"), "does not have it .*: make push DATASET=small PUBLIC=1"),
    "missing bucket": (error(404, "NoSuchBucket"), "has no such bucket"),
    "too short": (error(416, "InvalidRange"), "ends before byte 1,300"),
    "refused": (error(403, "AccessDenied"), "refuses access .*: check the AWS credentials in use"),
    "refused by a web page": (response(403, LOGIN, Content_Type="text/html"), "refuses access"),
    "expired": (error(400, "ExpiredToken"), "answers with an error|credentials in use have expired"),
    "bad request": (error(400, "InvalidRequest"), "answers with an error .*InvalidRequest"),
    "not modified": (response(304), "answers with an error .*304"),
    "server error": (error(500, "InternalError"), "answers with an error .*tried 5 times"),
    "slow down": (error(503, "SlowDown"), "answers with an error .*SlowDown.*tried 5 times"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be reached .*tried 5 times"),
    "nothing": (b"", "cannot be reached .*tried 5 times"),
    "half a header": (b"HTTP/1.1 200 OK\r\nContent-Le", "tried 5 times"),
    "bad length": (response(206, WANTED, Content_Length="many"), "does not answer as S3 does"),
    "bad date": (response(206, WANTED, Last_Modified="yesterday"), "does not answer as S3 does"),
    "bad XML": (response(400, b"<Error><Code>"), "answers with an error"),
    "bad chunks": (
        response(206, b"zzz\r\n", Content_Length=None, Transfer_Encoding="chunked"),
        "cannot be reached .*tried 5 times",
    ),
    "broken off": (response(206, WANTED[:99], Content_Length=SIZE), "cannot be reached .*tried 5 times"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_an_error(server, case):
    data, sentence = WRONG[case]
    answer(server, data)
    message = failure(server)
    assert re.search(sentence, message), message
    assert "hidden" not in message


def test_an_endless_error_is_read_in_part_only(server):
    def endless(request, send):
        send(response(403, Content_Length=1 << 40))
        while not server.is_closed.is_set():
            send(b"x" * (1 << 16))

    server.answer = endless
    started = time.monotonic()
    assert "refuses access" in failure(server)
    assert time.monotonic() - started < 20


STALLED = {
    "no answer": b"",
    "in the headers": b"HTTP/1.1 206 Partial\r\nContent-",
    "in the body": response(206, WANTED[:10], Content_Length=SIZE),
    "in an error": response(403, b"<Error>", Content_Length=999),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", STALLED)
def test_a_server_that_stalls_is_an_error(server, case, monkeypatch):
    monkeypatch.setattr(s3, "ATTEMPTS", 2)

    def stall(request, send):
        send(STALLED[case])
        server.is_closed.wait()

    server.answer = stall
    assert "tried 2 times" in failure(server, read_timeout=1)


@pytest.mark.slow
@pytest.mark.parametrize("status", [206, 403])
@pytest.mark.parametrize("start", ["headers", "body"])
def test_a_server_that_trickles_is_an_error_after_a_while(server, monkeypatch, start, status):
    """Each byte comes in time, but not all of them."""
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    whole = response(status, WANTED)
    at_once = whole.index(b"\r\n\r\n") + 4 if start == "body" else 0

    def trickle(request, send):
        send(whole[:at_once])
        server.trickle(send, whole[at_once:])

    server.answer = trickle
    started = time.monotonic()
    assert "no complete answer within 2 seconds" in failure(server, connect_timeout=1, read_timeout=1)
    assert time.monotonic() - started < 20


def test_a_large_object_is_not_read_to_get_at_its_end(server):
    size = 1 << 30
    answer(server, response(200, b"x" * 1000, Content_Length=size))
    source = S3Object("s3://bucket/key", size, "small", "public", (*KEYS, ("endpointurl", server.url)))
    with pytest.raises(loader.FetchError, match=r"ignores which bytes are requested .*: use a server"):
        source.read(size - 10, 10)


@pytest.mark.parametrize(
    ("status", "code"), [(400, "ExpiredToken"), (403, "InvalidAccessKeyId"), (403, "SignatureDoesNotMatch")]
)
def test_a_public_object_is_read_in_spite_of_bad_credentials(server, status, code):
    server.answer = lambda request, send: send(error(status, code) if request.is_signed else part(DATA, request))
    for _ in range(2):
        assert read(server) == WANTED
    assert [request.is_signed for request in server.requests] == [True, False, False]


def test_a_private_object_says_that_the_credentials_have_expired(server):
    server.answer = lambda request, send: send(
        error(400, "ExpiredToken") if request.is_signed else error(403, "AccessDenied")
    )
    assert "the AWS credentials in use have expired" in failure(server)
    assert [request.is_signed for request in server.requests] == [True, False]


def test_new_credentials_are_used_when_a_remote_no_longer_answers_without(server):
    server.answer = lambda request, send: send(error(400, "ExpiredToken") if request.is_signed else part(DATA, request))
    read(server)
    server.answer = lambda request, send: send(part(DATA, request) if request.is_signed else error(403, "AccessDenied"))
    assert read(server) == WANTED


def test_without_credentials_a_refusal_says_how_to_set_them(server):
    answer(server, error(403, "AccessDenied"))
    assert "refuses access without credentials" in failure(server, keys=())
    assert "set AWS_PROFILE, or AWS_ACCESS_KEY_ID" in failure(server, keys=())


def test_credentials_do_not_follow_a_redirect(server):
    with scripted_s3() as other:
        for status in (301, 302, 303, 307, 308):
            for region in ("eu-west-9", None):
                answer(server, response(status, Location=f"{other.url}/bucket/key", x_amz_bucket_region=region))
                failure(server)
        assert other.requests == []


def test_an_interrupted_part_is_read_on_the_next_attempt(server):
    def once(request, send):
        whole = part(DATA, request)
        send(whole[:-5] if len(server.requests) == 1 else whole)

    server.answer = once
    assert read(server) == WANTED
    assert len(server.requests) == 2


@pytest.mark.parametrize("profile", ["[default]\ncredential_process = false\n", "[default]\nsso_session = gone\n"])
def test_credentials_that_cannot_be_obtained_are_an_error(server, profile, tmp_path, monkeypatch):
    (tmp_path / "config").write_text(profile)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    answer(server, error(403, "AccessDenied"))
    with pytest.raises(loader.FetchError, match="AWS"):
        read(server, keys=())
