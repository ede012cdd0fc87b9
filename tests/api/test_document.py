"""The OpenAPI document: it is one, and it tells of everything the server does."""

from __future__ import annotations

import re
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from sttgate.access.gate import Gate
from sttgate.api.openapi import document
from sttgate.api.operations import operations_of
from sttgate.api.routing import PREFIX
from tests.api.service import Service


def described(api: Service) -> list[dict[str, Any]]:
    """Return what the document says of each operation."""
    return [each for methods in api.document["paths"].values() for each in methods.values()]


async def test_is_valid(api: Service) -> None:
    """The document is OpenAPI 3.1."""
    errors = list(OpenAPIV31SpecValidator(api.document).iter_errors())
    assert errors == []
    assert api.document["openapi"].startswith("3.1.")


async def test_is_that_of_the_operations(api: Service) -> None:
    """What the server gives is what a program can print without one."""
    operations = operations_of(api.gateway, Gate.for_everybody())
    assert document(operations) == api.document


async def test_has_every_route(api: Service) -> None:
    """Every address of the server below the prefix is in the document, with every method."""
    served = set()
    for route in api.client.server.app.router.routes():
        path = re.sub(r"\{(\w+):[^/]*\}", r"{\1}", route.resource.canonical)
        if path.startswith(PREFIX) and route.method != "HEAD":
            served.add((route.method, path.removeprefix(PREFIX)))
    assert served == {
        (method.upper(), path)
        for path, methods in api.document["paths"].items()
        for method in methods
    }


async def test_names(api: Service) -> None:
    """Each operation has a name of its own, and says in a few words what it does."""
    names = [each["operationId"] for each in described(api)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][A-Za-z]+", name) for name in names)
    assert all(each["summary"] for each in described(api))


async def test_every_parameter_has_a_text(api: Service) -> None:
    """Whoever reads the document learns what each parameter is for."""
    for operation in described(api):
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] == "path" or parameter["description"], parameter
            assert "null" not in str(parameter), parameter


async def test_no_leftovers(api: Service) -> None:
    """Nothing in it was meant for Python only: no titles made of names, no double backquotes."""
    text = str(api.document)
    assert "``" not in text
    assert "'title': 'Title'" not in text
    assert api.document["components"]["schemas"]["SessionPatch"]["properties"]["title"]


async def test_metadata_parameter(api: Service) -> None:
    """The filter by metadata is one parameter for each key, which begin with ``metadata.``."""
    [parameter] = [
        parameter
        for parameter in api.document["paths"]["/sessions"]["get"]["parameters"]
        if parameter["name"] == "metadata"
    ]
    assert parameter["schema"]["type"] == "object"
    assert parameter["schema"]["propertyNames"] == {"pattern": r"^metadata\..+"}


async def test_needs_no_key(api: Service) -> None:
    """The document tells which operations need which scope; itself it needs none."""
    paths = api.document["paths"]
    assert "security" not in paths["/openapi.json"]["get"]
    assert paths["/status"]["get"]["security"] == [{"key": ["admin"]}, {"token": ["admin"]}]
