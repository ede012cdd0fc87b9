"""The OpenAPI 3.1 document, made of the operations and the models that check and write their JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sttgate.api.problems import PROBLEM_TYPE, ProblemDetails
from sttgate.api.routing import (
    ID_PATTERN,
    JSON_TYPES,
    PREFIX,
    TOKEN,
    Answer,
    Operation,
    Query,
    json_body,
)

Schema = dict[str, Any]
Mode = Literal["validation", "serialization"]

_REFERENCE = "#/components/schemas/{model}"
_ABOUT = """\
Sessions, recordings and the state of the gateway. Instants are RFC 3339 in UTC, times in audio are
seconds. Every error is a problem document (RFC 9457) whose `code` is for programs. Unknown
parameters and fields are errors; clients ignore fields of answers that they do not know. A GET is
answered to HEAD as well."""


class OpenApi:
    """The operation that gives the document about ``others`` and itself."""

    def __init__(self, others: Sequence[Operation]) -> None:
        self._operation = Operation(
            name="getDocument",
            method="GET",
            path="/openapi.json",
            handler=self.show,
            scope=None,
            summary="Get this document",
            answers=(Answer(text="OpenAPI 3.1.", media=("application/json",)),),
        )
        self._operations = [*others, self._operation]
        self._text = b""

    def operations(self) -> Iterable[Operation]:
        """Return the operation."""
        return [self._operation]

    async def show(self, request: web.Request) -> web.Response:
        """Return the document."""
        self._text = self._text or json.dumps(document(self._operations)).encode()
        return json_body(self._text)


def document(operations: Sequence[Operation]) -> Schema:
    """Return the document about ``operations``."""
    schemas = _Schemas(operations)
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(
            operation, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sttgate",
            "version": version("sttgate"),
            "description": _ABOUT,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": PREFIX}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {"Problem": _problem("What went wrong.", schemas)},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, or a token made with one. Only where keys are asked for.",
                },
                "token": {
                    "type": "apiKey",
                    "in": "query",
                    "name": TOKEN,
                    "description": "A short-lived token, where no header can be set.",
                },
            },
        },
    }


class _Schemas:
    """The schemas of all models of the operations, by their names."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        models: dict[tuple[type[BaseModel], Mode], None] = {(ProblemDetails, "serialization"): None}
        for operation in operations:
            if operation.body is not None:
                models[operation.body, "validation"] = None
            for answer in operation.answers:
                if answer.model is not None:
                    models[answer.model, "serialization"] = None
        self._references, definitions = models_json_schema(list(models), ref_template=_REFERENCE)
        self.components: Schema = {
            name: _tidy(schema) for name, schema in sorted(definitions["$defs"].items())
        }

    def reference(self, model: type[BaseModel], mode: Mode) -> Schema:
        """Return where the schema of ``model`` stands."""
        return dict(self._references[model, mode])


def _described(operation: Operation, schemas: _Schemas) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "tags": [operation.path.split("/")[1]],
        "summary": operation.summary,
    }
    if operation.text:
        described["description"] = operation.text
    if parameters := [*_path_parameters(operation.path), *_query_parameters(operation.query)]:
        described["parameters"] = parameters
    if operation.body is not None:
        schema = schemas.reference(operation.body, "validation")
        content = {media: {"schema": schema} for media in JSON_TYPES}
        described["requestBody"] = {"required": True, "content": content}
    elif operation.media:
        described["requestBody"] = {
            "required": True,
            "content": {media: {} for media in operation.media},
        }
    answers = {str(answer.status): _answered(answer, schemas) for answer in operation.answers}
    problems = {
        str(status): _problem(text, schemas)
        for status, text in sorted(_problems(operation).items())
    }
    described["responses"] = {
        **answers,
        **problems,
        "default": {"$ref": "#/components/responses/Problem"},
    }
    if operation.scope is not None:
        described["security"] = [{"key": [operation.scope]}, {"token": [operation.scope]}]
    return described


def _problems(operation: Operation) -> Mapping[int, str]:
    usual = {400: "The request has values that are not valid."}
    if operation.scope is not None:
        usual[401] = "This needs a valid API key."
        usual[403] = f"This needs a key with the scope `{operation.scope}`."
    if "{id}" in operation.path:
        usual[404] = "There is no such thing, or it is somebody else's."
    if operation.body is not None:
        usual[413] = "The body is too large."
        usual[415] = "The body is of another type."
    usual[503] = "A store does not answer."
    return usual | dict(operation.problems)


def _problem(text: str, schemas: _Schemas) -> Schema:
    schema = schemas.reference(ProblemDetails, "serialization")
    return {"description": text, "content": {PROBLEM_TYPE: {"schema": schema}}}


def _answered(answer: Answer, schemas: _Schemas) -> Schema:
    described: Schema = {"description": answer.text or HTTPStatus(answer.status).phrase}
    if answer.model is not None:
        schema = schemas.reference(answer.model, "serialization")
        described["content"] = {"application/json": {"schema": schema}}
    elif answer.media:
        described["content"] = {media: {} for media in answer.media}
    if answer.headers:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in answer.headers.items()
        }
    return described


def _path_parameters(path: str) -> Iterable[Schema]:
    for name in re.findall(r"\{(\w+)\}", path):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{ID_PATTERN}$"},
        }


def _query_parameters(query: type[Query]) -> Iterable[Schema]:
    schema = query.model_json_schema()
    for name, described in schema.get("properties", {}).items():
        value = _without_null(_tidy(described))
        parameter: Schema = {"name": name, "in": "query"}
        if name in schema.get("required", ()):
            parameter["required"] = True
        if text := value.pop("description", ""):
            parameter["description"] = text
        # The default style writes an object as one parameter for each of its keys.
        yield {**parameter, "schema": value}


def _without_null(schema: Schema) -> Schema:
    """Return the schema of a parameter, which is there or not, but never null."""
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    others = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(others) == 1:
        return {**rest, **others[0]}
    return {**rest, "anyOf": others} if others else rest


def _tidy(schema: Any, *, is_map: bool = False) -> Any:
    """Return a schema without what pydantic adds: titles made of names, defaults that say nothing.

    ``is_map``: it is an object with schemas as its values, in which any key is a name.
    """
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if is_map:
        return {name: _tidy(each) for name, each in schema.items()}
    tidied = {}
    for key, value in schema.items():
        if key == "title" or (key == "default" and value in (None, {}, [])):
            continue
        if key == "description":
            value = " ".join(value.replace("``", "`").split())
        elif key not in ("default", "enum", "const", "examples", "required"):
            value = _tidy(value, is_map=key in ("properties", "$defs"))
        tidied[key] = value
    return tidied
