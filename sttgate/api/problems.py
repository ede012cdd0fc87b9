"""Errors of the API: every one is a problem document (RFC 9457), and none tells about the inside.

A handler raises ``ApiProblem``, or lets RequestError and StoreError pass; the middleware
``problem_details`` turns them, and every other error below ``/api``, into an answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, ValidationError

from sttgate.errors import ErrorCode, RequestError, StoreError, SttgateError

log = structlog.get_logger(__name__)

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER = "5"  # seconds, what a client that finds us full or without a store is asked to wait
_MOST_ERRORS = 20  # of one request; somebody who makes more of them does not read them

_STATUS_OF_CODE: Mapping[ErrorCode, int] = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.INVALID_JSON: 400,
    ErrorCode.UNKNOWN_PROVIDER: 400,
    ErrorCode.UNSUPPORTED_LANGUAGE: 400,
    ErrorCode.UNSUPPORTED_ENCODING: 415,
    ErrorCode.AUDIO_MISALIGNED: 400,
    ErrorCode.AUDIO_TOO_FAST: 429,
    ErrorCode.IDLE_TIMEOUT: 408,
    ErrorCode.MAX_DURATION: 413,
    ErrorCode.CAPACITY: 503,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.SESSION_NOT_FOUND: 404,
    ErrorCode.SESSION_TAKEN: 409,
    ErrorCode.PROVIDER_AUTH: 502,
    ErrorCode.PROVIDER_QUOTA: 503,
    ErrorCode.PROVIDER_UNAVAILABLE: 503,
    ErrorCode.PROVIDER_TIMEOUT: 504,
    ErrorCode.PROVIDER_PROTOCOL: 502,
    ErrorCode.STORAGE_FAILED: 503,
    ErrorCode.SHUTDOWN: 503,
    ErrorCode.INTERNAL: 500,
}

_HTTP: Mapping[int, tuple[str, str]] = {
    400: ("bad_request", "The request cannot be understood."),
    401: ("unauthorized", "This needs an API key."),
    403: ("forbidden", "This is not allowed from where it comes."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method."),
    408: ("timeout", "The body took too long to arrive."),
    409: ("conflict", "This cannot be done now."),
    413: ("too_large", "The body is too large."),
    415: ("unsupported_media_type", "A body of this type is not taken here."),
    416: ("range_not_satisfiable", "The range lies outside of what there is."),
    429: ("too_many_requests", "These are too many requests."),
    500: ("internal", "Something went wrong here."),
    503: ("unavailable", "The service cannot do this at the moment. Try again."),
}
"""Code and sentence of an error that has no better ones of its own."""


class FieldError(BaseModel):
    """What is wrong with one value of a request; ``loc`` leads to it, as in ``metadata.room``."""

    loc: str
    message: str


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str = "about:blank"
    """Always `about:blank`: `code` tells the kinds apart."""
    title: str
    """The name of the status."""
    status: int
    """The HTTP status."""
    detail: str
    """One sentence for a person."""
    code: str
    """The kind of the problem, for a program."""
    instance: str | None = None
    """An id for this one occurrence, which the log has too; only for errors of the server."""
    errors: list[FieldError] | None = None
    """What is wrong with which value, if the request had wrong values."""


class ApiProblem(SttgateError):
    """An error answer. Without ``code`` and ``detail`` it gets those of its status."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        code: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] = (),
        instance: str | None = None,
    ) -> None:
        usual_code, usual_detail = _HTTP.get(status, _HTTP[500 if status >= 500 else 400])
        super().__init__(detail or usual_detail)
        self.status = status
        self.code = code or usual_code
        self.headers = dict(headers or {})
        self.errors = list(errors)
        self.instance = instance

    @classmethod
    def of_values(cls, error: ValidationError, where: str) -> ApiProblem:
        """Return the 400 for values a model did not take; ``where`` is "query" or "body"."""
        details = error.errors(include_url=False, include_context=False, include_input=False)
        errors = [
            FieldError(loc=".".join(map(str, detail["loc"])) or where, message=detail["msg"])
            for detail in details[:_MOST_ERRORS]
        ]
        code = "invalid_json" if details[0]["type"] == "json_invalid" else ""
        return cls(400, f"The {where} has values that are not valid.", code, errors=errors)

    def response(self) -> web.Response:
        """Return the answer."""
        problem = ProblemDetails(
            title=_title(self.status),
            status=self.status,
            detail=str(self),
            code=self.code,
            instance=self.instance,
            errors=self.errors or None,
        )
        return web.Response(
            status=self.status,
            headers=self.headers,
            body=problem.model_dump_json(exclude_none=True).encode(),
            content_type=PROBLEM_TYPE,
        )


def not_found(what: str = "session") -> ApiProblem:
    """Return the 404 for a thing that does not exist, or that is somebody else's."""
    return ApiProblem(404, f"There is no such {what}.")


@web.middleware
async def problem_details(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error below ``/api`` with a problem document; the outermost middleware."""
    if not request.path.startswith("/api/"):
        return await handler(request)
    try:
        return await handler(request)
    except ConnectionError:
        raise  # the client is gone
    except web.HTTPException as error:
        if error.status < 400:
            raise
        problem = _of_http(error)
    except Exception as error:
        problem = _of(error, request)
    if request.writer.output_size > 0:
        # Half of another answer is out: all that can still be said is that it ends too early.
        if request.transport is not None:
            request.transport.close()
        raise ConnectionResetError("the answer broke off")
    return problem.response()


def _of(error: Exception, request: web.Request) -> ApiProblem:
    match error:
        case ApiProblem():
            return error
        case HttpProcessingError() | web.RequestPayloadError():
            return ApiProblem(400)  # chunks or parts of a form that are none
        case RequestError():
            status = _STATUS_OF_CODE[error.code]
            headers = {"Retry-After": RETRY_AFTER} if status in (429, 503) else None
            return ApiProblem(status, str(error), error.code, headers=headers)
        case StoreError():
            log.error("store_failed", error=str(error))
            return ApiProblem(
                503,
                "The store does not answer at the moment. Try again.",
                ErrorCode.STORAGE_FAILED,
                headers={"Retry-After": RETRY_AFTER},
            )
    occurrence = uuid.uuid4().urn
    log.error("request_failed", method=request.method, instance=occurrence, exc_info=error)
    return ApiProblem(500, instance=occurrence)


def _of_http(error: web.HTTPException) -> ApiProblem:
    kept = ("Allow", "Retry-After", "Content-Range", "WWW-Authenticate", "Connection")
    headers = {name: error.headers[name] for name in kept if name in error.headers}
    return ApiProblem(error.status, headers=headers)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
