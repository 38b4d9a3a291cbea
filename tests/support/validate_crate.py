"""Checks an RO-Crate with roc-validator, without a network: python validate_crate.py FOLDER PROFILE.

Run by an interpreter that has roc-validator and rocrate, which need not be the tests' own: the validator asks for older
versions of some libraries than the rest does. Prints each issue on a line, `REQUIRED` ones first.
"""

from __future__ import annotations

import email.message
import io
import sys
import urllib.error
import urllib.request
import urllib.response
from importlib.resources import files
from typing import Any

import rdflib._networking
import rdflib.parser  # noqa: F401 - it holds a name to replace
import requests

CONTEXT = files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()


def opened(request: Any, *_given: Any, **_named: Any) -> Any:
    """What `urlopen` gives: the list of terms that the rocrate library brings along, and nothing else."""
    address = getattr(request, "full_url", request)
    if "ro/crate" not in address:
        raise urllib.error.URLError(f"no network: {address}")
    headers = email.message.Message()
    headers["Content-Type"] = "application/ld+json"
    return urllib.response.addinfourl(io.BytesIO(CONTEXT), headers, address, 200)


def answered(_session: Any, _method: str, url: str, **_named: Any) -> requests.Response:
    """The same for requests."""
    response = requests.Response()
    response.status_code, response.url = (200, url) if "ro/crate" in url else (404, url)
    response._content = CONTEXT if "ro/crate" in url else b""
    response.headers["Content-Type"] = "application/ld+json"
    return response


def main(folder: str, profile: str) -> int:
    """0 when every requirement is met."""
    urllib.request.urlopen = opened
    for module in [each for name, each in sys.modules.items() if name.startswith("rdflib")]:
        if hasattr(module, "urlopen"):
            module.urlopen = opened
    requests.Session.request = answered
    from rocrate_validator import models, services

    wanted = services.ValidationSettings(
        rocrate_uri=folder, profile_identifier=profile, requirement_severity=models.Severity.RECOMMENDED
    )
    issues = sorted(services.validate(wanted).get_issues(), key=lambda each: -each.severity.value)
    for issue in issues:
        print(issue.severity.name, issue.check.identifier, issue.message)
    return int(any(issue.severity.name == "REQUIRED" for issue in issues))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
