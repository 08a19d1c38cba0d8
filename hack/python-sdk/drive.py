"""Drives the official Python SDK against zenlayer-sim and compares what it parses.

Input: a JSON file on the command line and a setup object on standard input:
  {"scheme": "http"|"https", "domain": HOST:PORT, "control": URL, "ca": PATH|null, "signed": bool}
Output: one JSON object, {"calls": …, "refusals": …, "actions": […], "differences": […]}.

A case of the file is one of
  {"control": "POST", "path": "clock", "body": {…}}                 a step of the control API
  {"call": ACTION, "with": {…}, "gives": {…}}                       every attribute that is parsed
  {"call": ACTION, "with": {…}, "refused": CODE}                    the code of the exception
  {"call": ACTION, "with": {…}, "raises": NAME}                     an exception of Python's own
with "name", and optionally "as" (a credential of the file other than the first one), and
"version" ("2023-03-13" for the older module), "product" (another one than vm), "fill" (a text of so
many letters for a field), and "retries". Objects of "gives" may start from one
of "templates": {"like": NAME, …}. Cases with "only": "signed"|"bearer" are left out
of other runs.
"""

from datetime import datetime
import importlib
import json
import re
import sys
import types
import urllib.request

from zenlayercloud.common import abstract_client
from zenlayercloud.common.abstract_model import AbstractModel
from zenlayercloud.common.config import Config
from zenlayercloud.common.credential import Credential, TokenCredential
from zenlayercloud.common.excpetion.zenlayer_cloud_sdk_exception import (
    ZenlayerCloudSdkException,
)

REQUEST_ID = re.compile(
    "T[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}"
)


class Driver:
    def __init__(self, setup, credentials):
        self.setup = setup
        self.credentials = credentials
        # The SDK signs with the time of the simulation, which moves by steps.
        clock = types.SimpleNamespace(time=lambda: self.time, sleep=lambda seconds: None)
        abstract_client.time = clock

    def control(self, method, path, body=None):
        data = None if body is None and method == "GET" else json.dumps(body).encode()
        url = self.setup["control"] + "/control/" + path
        request = urllib.request.Request(url, data=data, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def read_clock(self):
        shown = self.control("GET", "clock")["now"]
        self.time = datetime.fromisoformat(shown.replace("Z", "+00:00")).timestamp()

    def credential(self, name):
        given = self.credentials[name]
        if "token" in given:
            return TokenCredential(given["token"])
        return Credential(given["accessKeyId"], given["accessKeyPassword"])

    def call(self, case):
        product = case.get("product", "vm")
        version = case.get("version", "2026-04-01").replace("-", "")
        package = "zenlayercloud.%s.v%s" % (product, version)
        module = importlib.import_module("%s.%s_client" % (package, product))
        client_type = getattr(module, product.capitalize() + "Client")
        models = importlib.import_module(package + ".models")
        config = Config(
            scheme=self.setup["scheme"],
            domain=self.setup["domain"],
            request_timeout=20,
            certification=self.setup["ca"],
            rate_limit_max_retries=case.get("retries", 0),
        )
        default = "signed" if self.setup["signed"] else "bearer"
        client = client_type(self.credential(case.get("as", default)), config)
        request = getattr(models, case["call"] + "Request")()
        for name, value in case.get("with", {}).items():
            setattr(request, name, value)
        for name, letters in case.get("fill", {}).items():
            setattr(request, name, "x" * letters)
        return getattr(client, case["call"])(request)


def plain(value):
    """What the SDK has parsed, as plain data."""
    if isinstance(value, AbstractModel):
        return {name: plain(field) for name, field in vars(value).items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def differences(expected, found, path=""):
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted(set(expected) | set(found)):
            here = path + "." + name if path else name
            if name not in expected:
                yield "%s: not expected, found %r" % (here, found[name])
            elif name not in found:
                yield "%s: expected %r, has no such attribute" % (here, expected[name])
            else:
                yield from differences(expected[name], found[name], here)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield "%s: expected %d items, found %d" % (path, len(expected), len(found))
        for index, (left, right) in enumerate(zip(expected, found)):
            yield from differences(left, right, "%s[%d]" % (path, index))
    elif type(expected) is not type(found) or expected != found:
        yield "%s: expected %r, found %r" % (path, expected, found)


def filled(value, templates):
    """The expectation, with {"like": NAME, …} filled in from the templates of the file."""
    if isinstance(value, list):
        return [filled(item, templates) for item in value]
    if not isinstance(value, dict):
        return value
    own = {name: filled(field, templates) for name, field in value.items()}
    like = own.pop("like", None)
    return own if like is None else {**filled(templates[like], templates), **own}


def bad_request_id(request_id):
    if not isinstance(request_id, str) or not REQUEST_ID.fullmatch(request_id):
        yield "requestId: expected T and a UUID of version 4, found %r" % request_id


def judge(driver, case):
    """The differences of one call."""
    try:
        answer = plain(driver.call(case))
    except ZenlayerCloudSdkException as error:
        if case.get("refused") != error.code:
            return ["found the refusal %s: %s" % (error.code, error.message)]
        if not error.message:
            return ["message: expected a text, found none"]
        made_by_the_sdk = ("SECURITY_CHALLENGE", "REQUEST_BLOCKED", "NETWORK_ERROR")
        if error.code in made_by_the_sdk:
            return []
        return list(bad_request_id(error.request_id))
    except Exception as error:
        if case.get("raises") != type(error).__name__:
            return ["found the exception %s: %s" % (type(error).__name__, error)]
        return []
    if "gives" not in case:
        return ["expected %r, found %r" % (case.get("refused", case.get("raises")), answer)]
    found = list(bad_request_id(answer.pop("requestId", None)))
    return found + list(differences(case["gives"], answer))


def main():
    with open(sys.argv[1]) as file:
        script = json.load(file)
    setup = json.load(sys.stdin)
    driver = Driver(setup, script["credentials"])
    driver.read_clock()
    mode = "signed" if setup["signed"] else "bearer"
    report = {"calls": 0, "refusals": 0, "actions": set(), "differences": []}
    for case in script["cases"]:
        if case.get("only", mode) != mode:
            continue
        if "control" in case:
            driver.control(case["control"], case["path"], case.get("body"))
            driver.read_clock()
            continue
        if "gives" in case:
            case["gives"] = filled(case["gives"], script["templates"])
        report["calls"] += 1
        report["refusals"] += "gives" not in case
        if "product" not in case:
            report["actions"].add(case["call"])
        for difference in judge(driver, case):
            report["differences"].append("%s: %s" % (case["name"], difference))
    report["actions"] = sorted(report["actions"])
    json.dump(report, sys.stdout)


main()
