"""Operations: what an address of the API takes and gives, said once for the server and the document.

A group of handlers returns its operations from a method ``operations``; ``routes`` makes aiohttp
routes of them and ``sttgate.api.openapi`` the document. A handler is a coroutine function that takes
the request, ``query`` (an instance of the operation's query model) if that has fields, and ``body``
if there is a body model. It returns a model, which becomes the JSON of the first answer, or a
response of its own. For errors it raises ``ApiProblem``, RequestError or StoreError.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict, ValidationError

from sttgate.access.principal import Scope
from sttgate.api.problems import ApiProblem

PREFIX = "/api/v1"
ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
JSON_TYPES = ("application/json", "application/merge-patch+json")
MAX_BODY = 1024**2  # bytes of a JSON body; the application's client_max_size enforces it
BODY_TIMEOUT = 10.0  # seconds a JSON body may take to arrive

OperationHandler = Callable[..., Awaitable[BaseModel | web.StreamResponse]]


class Query(BaseModel):
    """Base of query models: unknown parameters are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> Any:
        """Return the values of a query string in the shape the model validates."""
        return dict(parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One way an operation succeeds: JSON of ``model``, a body of one of the types in ``media``, or none.

    ``headers`` says what headers of its own it has, and what for.
    """

    text: str
    status: int = 200
    model: type[BaseModel] | None = None
    media: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method at an address below ``/api/v1``; ``{name}`` in ``path`` stands for an id.

    ``name`` is unique, such as ``listSessions``. ``scope`` is what a key must be allowed to do,
    None if no key is needed; a middleware asks ``scope_of_operation``. ``body`` is the model of a JSON
    body; a handler that reads another kind of body by itself names the types it takes in ``media``.
    ``problems`` says when which error status comes, beyond those every operation may answer with.
    A GET is answered to HEAD as well, unless ``head`` is False (as for an endless stream).
    """

    name: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: OperationHandler
    scope: Scope | None
    summary: str
    answers: tuple[Answer, ...]
    text: str = ""
    query: type[Query] = Query
    body: type[BaseModel] | None = None
    media: tuple[str, ...] = ()
    problems: Mapping[int, str] = field(default_factory=dict)
    head: bool = True


def routes(operations: Iterable[Operation]) -> list[web.RouteDef]:
    """Return the routes to add to an application."""
    found = []
    for operation in operations:
        path = PREFIX + re.sub(r"\{(\w+)\}", rf"{{\1:{ID_PATTERN}}}", operation.path)
        options = {"allow_head": operation.head} if operation.method == hdrs.METH_GET else {}
        found.append(web.RouteDef(operation.method, path, partial(_run, operation), options))
    return found


def operation_of(request: web.Request) -> Operation | None:
    """Return the operation a request was routed to, None if it is none of the API's."""
    handler = request.match_info.handler
    if isinstance(handler, partial) and handler.args and isinstance(handler.args[0], Operation):
        return handler.args[0]
    return None


def scope_of_operation(request: web.Request) -> Scope | None:
    """Return the scope that a request to the API needs, None for any other request."""
    operation = operation_of(request)
    return None if operation is None else operation.scope


async def _run(operation: Operation, request: web.Request) -> web.StreamResponse:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ApiProblem(415, "A compressed body is not taken here; send it as it is.")
    given: dict[str, BaseModel] = {}
    query = read_query(request, operation.query)
    if operation.query.model_fields:
        given["query"] = query
    if operation.body is not None:
        given["body"] = await _read_body(request, operation.body)
    answer = await operation.handler(request, **given)
    if isinstance(answer, web.StreamResponse):
        return answer
    return json_response(answer, operation.answers[0].status)


def json_response(
    model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return a model as the JSON of an answer."""
    body = model.model_dump_json().encode()
    return web.Response(status=status, headers=headers, body=body, content_type="application/json")


def read_query(request: web.Request, model: type[Query]) -> Query:
    """Return the query string as an instance of ``model``; ApiProblem 400 if it is none."""
    repeated = [name for name, count in Counter(request.query.keys()).items() if count > 1]
    if repeated:
        raise ApiProblem(400, "The query has a parameter more than once.")
    try:
        return model.model_validate(model.from_parameters(request.query))
    except ValidationError as error:
        raise ApiProblem.of_values(error, "query") from error


async def _read_body(request: web.Request, model: type[BaseModel]) -> BaseModel:
    if request.content_type not in JSON_TYPES:
        raise ApiProblem(415, f"Send the body as {JSON_TYPES[0]}.")
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            body = await request.read()
    except TimeoutError as error:
        raise ApiProblem(408, headers={"Connection": "close"}) from error
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise ApiProblem.of_values(error, "body") from error
