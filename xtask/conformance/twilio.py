"""Twilio's own library judges our signatures, signs webhooks for our server, and asks the stand-in that we test with."""

import json
import os
import sys
import time
import traceback
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

VECTORS = sys.argv[1]
failed = False


def check(name, is_so, why=""):
    """One line per check, which the caller counts."""
    global failed
    failed |= not is_so
    print(f"ok {name}" if is_so else f"not ok {name}: {why}", flush=True)


class Parameters(dict):
    """What the library takes for a form in which a name may come twice."""

    def getall(self, name):
        return self[name]


def form(body):
    parameters = Parameters()
    for name, value in parse_qsl(body, keep_blank_values=True):
        parameters.setdefault(name, []).append(value)
    return parameters


def vectors():
    """The samples that our own tests rely on are what the library says they are."""
    with open(VECTORS, encoding="utf-8") as file:
        samples = json.load(file)
    for sample in samples:
        validator = RequestValidator(sample["auth_token"])
        body = sample.get("body") or ""
        is_form = (sample.get("content_type") or "").startswith("application/x-www-form-urlencoded")
        said = form(body) if is_form or sample["method"] == "GET" else body
        is_valid = validator.validate(sample["url"], said, sample["signature"], sample["algorithm"])
        check(f"sample {sample['name']}", is_valid == sample["accept"], f"the library says {is_valid}")


SERVER = os.environ["TOLLBOOK_URL"]
PUBLIC = os.environ["SERVER_URL"]
SERVICE = {"authorization": f"Bearer {os.environ['SUPABASE_SERVICE_KEY']}"}
ACCOUNT = os.environ["TWILIO_ACCOUNT_SID"]
TOKEN = os.environ["TWILIO_AUTH_TOKEN"]
PATIENCE_SECONDS = 20


class ToStandIn(TwilioHttpClient):
    """Sends to the stand-in what the library would send to the provider."""

    def request(self, method, url, **rest):
        address = url.replace("https://api.twilio.com", os.environ["TWILIO_BASE_URL"])
        return super().request(method, address, **rest)


def library():
    return Client(ACCOUNT, TOKEN, http_client=ToStandIn())


def ask(method, path, organization=None, **rest):
    """Asks our server as the platform's own service."""
    headers = dict(SERVICE)
    if organization:
        headers["x-organization-id"] = organization
    answer = requests.request(method, SERVER + path, headers=headers, timeout=30, **rest)
    answer.raise_for_status()
    return answer.json()


def tell(kind, fields, signature=None, url=None):
    """Posts a form to our server, signed by the library for the public address unless told otherwise."""
    path = f"/webhooks/twilio/{kind}"
    if signature is None:
        signature = RequestValidator(TOKEN).compute_signature(url or PUBLIC + path, fields)
    headers = {"X-Twilio-Signature": signature} if signature else {}
    return requests.post(SERVER + path, data=fields, headers=headers, timeout=30)


def webhooks():
    """What the library signs is accepted and comes to something; anything else is refused."""
    ours = library().incoming_phone_numbers.list()[0]
    organization = ask("POST", "/api/orgs", json={"name": "Conformance"})["id"]
    number = {"phoneNumber": ours.phone_number, "provider": "twilio", "organizationId": organization}
    ask("POST", "/api/admin/numbers", json=number)
    leg = {"AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "From": "+12025550123", "FromCity": "", "CallerName": "José Ñúñez"}
    parent = {**leg, "CallSid": "CA" + "1" * 32, "To": ours.phone_number, "Direction": "inbound"}
    child = {**leg, "CallSid": "CA" + "2" * 32, "ParentCallSid": parent["CallSid"], "To": "client:ada", "Direction": "outbound-dial"}
    at = datetime.now(timezone.utc).replace(microsecond=0)
    when = lambda seconds: format_datetime(at + timedelta(seconds=seconds))
    answer = tell("voice", {**parent, "CallStatus": "ringing"})
    check("a ringing call is accepted", answer.status_code == 200, answer.text)
    instructions = ElementTree.fromstring(answer.content)
    check("its instructions are TwiML", instructions.tag == "Response" and len(instructions) > 0, answer.text)
    for fields in (
        {**child, "CallStatus": "ringing", "Timestamp": when(0), "SequenceNumber": "1"},
        {**child, "CallStatus": "in-progress", "Timestamp": when(5), "SequenceNumber": "2"},
        {**child, "CallStatus": "completed", "Timestamp": when(66), "SequenceNumber": "3", "CallDuration": "61"},
        {**parent, "CallStatus": "completed", "Timestamp": when(66), "CallDuration": "66"},
    ):
        answer = tell("call-status", fields)
        check(f"`{fields['CallStatus']}` of {fields['Direction']} is accepted", answer.status_code == 204, answer.text)
    message = {"AccountSid": ACCOUNT, "MessageSid": "SM" + "1" * 32, "From": "+12025550123", "To": ours.phone_number, "Body": "☎ & more", "SmsStatus": "received"}
    answer = tell("sms", message)
    check("a message is accepted", answer.status_code == 200 and ElementTree.fromstring(answer.content).tag == "Response", answer.text)
    calls = waited(lambda: ask("GET", "/api/calls", organization)["data"], lambda found: found and found[0]["state"] == "ended")
    check("the two legs are one call of 61 seconds", len(calls) == 1 and calls[0]["billableSeconds"] == 61, str(calls))
    messages = waited(lambda: ask("GET", "/api/messages", organization)["data"], len)
    check("the message is there", [it["text"] for it in messages] == [message["Body"]], str(messages))
    body_of_json()
    refusals(parent)


def body_of_json():
    body = json.dumps({"CallSid": "CA" + "3" * 32, "Status": "completed"})
    validator = RequestValidator(TOKEN)
    path = f"/webhooks/twilio/call-status?bodySHA256={validator.compute_hash(body)}"
    headers = {"X-Twilio-Signature": validator.compute_signature(PUBLIC + path, {}), "Content-Type": "application/json"}
    answer = requests.post(SERVER + path, data=body, headers=headers, timeout=30)
    check("a JSON body with its digest is accepted", answer.status_code == 204, answer.text)
    answer = requests.post(SERVER + path, data=body.replace("completed", "busy"), headers=headers, timeout=30)
    check("a JSON body that was altered is refused", answer.status_code == 403, answer.text)


def refusals(call):
    fields = {**call, "CallStatus": "ringing"}
    path = "/webhooks/twilio/voice"
    signed = RequestValidator(TOKEN).compute_signature(PUBLIC + path, fields)
    forged = RequestValidator("not the token").compute_signature(PUBLIC + path, fields)
    for what, answer in (
        ("a forged one", tell("voice", fields, forged)),
        ("a tampered one", tell("voice", {**fields, "To": "+12025550199"}, signed)),
        ("an unsigned one", tell("voice", fields, "")),
        ("one signed for http", tell("voice", fields, url=(PUBLIC + path).replace("https", "http"))),
        ("one signed for another path", tell("voice", fields, url=PUBLIC + "/webhooks/twilio/sms")),
    ):
        check(f"{what} is refused", answer.status_code == 403, f"{answer.status_code} {answer.text}")


def waited(ask_again, is_enough):
    """What is interpreted a moment after it was accepted."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = ask_again()
        if is_enough(found) or time.monotonic() > until:
            return found
        time.sleep(0.1)


def requests_of_the_library():
    """The stand-in that our tests rely on answers as the library expects."""
    client = library()
    numbers = client.incoming_phone_numbers.list()
    check("numbers are listed", [it.phone_number for it in numbers] == ["+12125550160"], str(numbers))
    number = client.incoming_phone_numbers(numbers[0].sid).fetch()
    check("a number is fetched", number.capabilities["voice"] is True, str(number.capabilities))
    placed = client.calls.create(to="+12025550123", from_=number.phone_number, url=PUBLIC + "/webhooks/twilio/voice")
    call = client.calls(placed.sid).fetch()
    check("a call is placed and fetched", call.sid == placed.sid and call._from == number.phone_number, str(call))
    check("it has no price yet", call.price is None, str(call.price))
    check("calls are listed", placed.sid in [it.sid for it in client.calls.list(to="+12025550123")])
    check("recordings of a call are listed", client.calls(placed.sid).recordings.list() == [])
    ended = client.calls(placed.sid).update(status="completed")
    check("a call is ended", ended.status == "completed", ended.status)
    sent = client.messages.create(to="+12025550123", from_=number.phone_number, body="Hello")
    message = client.messages(sent.sid).fetch()
    check("a message is sent and fetched", (message.body, message.num_segments) == ("Hello", "1"), str(message))
    for what, attempt in (
        ("an unknown call", lambda: client.calls("CA" + "0" * 32).fetch()),
        ("a number that is not ours", lambda: client.calls.create(to="+12025550123", from_="+12025550198", url=PUBLIC)),
    ):
        check(f"{what} is refused in the library's terms", refusal(attempt) is not None)
    stranger = Client(ACCOUNT, "not the token", http_client=ToStandIn())
    check("a wrong token is refused", refusal(lambda: stranger.calls(placed.sid).fetch()) == 401)


def refusal(attempt):
    try:
        attempt()
    except TwilioRestException as error:
        return error.status
    return None


for part in (vectors, requests_of_the_library, webhooks):
    try:
        part()
    except Exception:
        traceback.print_exc()
        check(part.__name__, False, "it did not get to its end")
sys.exit(1 if failed else 0)
