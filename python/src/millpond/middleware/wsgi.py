"""Request logging for WSGI. The response is passed on part by part, as the application makes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from millpond.middleware._body import Body
from millpond.middleware._request import KEY, Exchange, Options, RequestOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

Environ = dict[str, Any]


class StartResponse(Protocol):
    """What a server gives to an application to begin the response."""

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any: ...


class WSGIApp(Protocol):
    """A WSGI application."""

    def __call__(self, environ: Environ, start_response: StartResponse, /) -> Iterable[bytes]: ...


class WSGIMiddleware:
    """Logs each request once, when its response is closed, and gives all records of a request the same trace and
    request id. The record is that of :class:`~millpond.middleware.ASGIMiddleware`.

    The context of the request is there while the application is called, while each part of its response is made, and
    while the response is closed; in between it is not, so that nothing leaks into what the thread does next. A
    response made by the server's ``wsgi.file_wrapper`` is left as it is, so that the server may send the file by
    itself.

    :param app: the application.
    :param options: see :class:`~millpond.middleware.RequestOptions`.
    :raises ConfigurationError: an option has a value that it can't have.
    """

    def __init__(self, app: WSGIApp, **options: Unpack[RequestOptions]) -> None:
        self.app = app
        self._options = Options(**options)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI entry point."""
        if KEY in environ:
            return self.app(environ, start_response)
        request = _Request(self._options, environ, start_response)
        environ[KEY] = request
        if request.request_body is not None and "wsgi.input" in environ:
            environ["wsgi.input"] = Tee(environ["wsgi.input"], request.request_body)
        request.enter()
        try:
            response = self.app(environ, request.start)
            if _is_file(response, environ) and request.close_with(response):
                return response
            parts = iter(response)
        except BaseException as error:
            request.end(error)
            raise
        finally:
            request.leave()
        return (_SizedResponse if hasattr(response, "__len__") else _Response)(request, response, parts)


class _Request(Exchange):
    """One request on its way through the application."""

    __slots__ = ("_left_bytes", "_start_response", "sent")

    def __init__(self, options: Options, environ: Environ, start_response: StartResponse) -> None:
        self._start_response = start_response
        #: Whether the server was given a part of the body, and can't answer with anything else any more.
        self.sent = False
        #: Bytes that the response still owes to its Content-Length, if it has one.
        self._left_bytes: int | None = None
        root = decoded(environ.get("SCRIPT_NAME", ""))
        path = root + decoded(environ.get("PATH_INFO", ""))
        headers = wanted_headers(environ, options.headers)
        super().__init__(
            options, environ.get("REQUEST_METHOD", ""), path, headers, environ.get("REMOTE_ADDR") or None, root
        )
        if self.wants_headers:
            self.request_headers = list(request_headers(environ))

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
        """Stands for the server's ``start_response``: adds the headers, and sees the status."""
        try:
            self.status = int(status[:3])
        except ValueError:
            self.status = None
        length = next((value for name, value in headers if name.lower() == "content-length"), "")
        self._left_bytes = int(length) if length.isdecimal() else None
        headers = [*headers, *self.answer_headers({name.lower() for name, _ in headers})]
        if self.wants_headers:
            self.response_headers = headers
        write = self._start_response(status, headers, *(() if exc_info is None else (exc_info,)))

        def writing(part: bytes) -> Any:
            self.sends(part)
            return write(part)

        return writing

    def sends(self, part: bytes, *, is_all: bool = False) -> None:
        """A part goes to the server. The last one completes the response, though nobody may ask for more."""
        self.sent = True
        if self.response_body is not None:
            self.response_body.add(part)
        if self._left_bytes is not None:
            self._left_bytes -= len(part)
        if is_all or (self._left_bytes is not None and self._left_bytes <= 0):
            self.completed()

    def close_with(self, response: Any) -> bool:
        """Has the record written when the response is closed, without standing in its way."""
        close = getattr(response, "close", None)
        open_request = [self]

        def closing() -> None:
            request = open_request.pop() if open_request else None
            if request is not None:
                request.enter()
            try:
                if close is not None:
                    close()
            finally:
                if request is not None:
                    request.completed()
                    request.end(None)
                    request.leave()

        try:
            response.close = closing
        except (AttributeError, TypeError):
            return False
        return True

    def end(self, error: BaseException | None) -> None:
        """Writes the record."""
        if self.is_recorded:
            return
        # A response without a body is complete without anybody asking for it.
        if self.method == "HEAD" or self.status in (204, 304):
            self.completed()
        self.disconnected = error is None and not self.is_complete
        self.record(error, answered=self.sent)


class _Response:
    """Passes the response on, inside of the context of its request."""

    def __init__(self, request: _Request, response: Iterable[bytes], parts: Iterator[bytes]) -> None:
        self._request = request
        self._response = response
        self._parts = parts
        self._closed = False
        self._parts_count = len(response) if isinstance(response, (list, tuple)) else 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        request = self._request
        request.enter()
        try:
            part = next(self._parts)
        except StopIteration:
            request.completed()
            raise
        except BaseException as error:
            request.end(error)
            raise
        finally:
            request.leave()
        if part:
            request.sends(part, is_all=self._parts_count == 1)
        return part

    def close(self) -> None:
        """Closes the response of the application, once, and writes the record."""
        if self._closed:
            return
        self._closed = True
        request = self._request
        request.enter()
        try:
            close = getattr(self._response, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            request.end(error)
            raise
        else:
            request.end(None)
        finally:
            request.leave()

    def __del__(self) -> None:
        # A server that forgets to close is not to cost the record.
        if not self._closed and not self._request.is_recorded:
            self._request.enter()
            self._request.end(None)
            self._request.leave()


class _SizedResponse(_Response):
    """Servers make a Content-Length for a response that has one part."""

    def __len__(self) -> int:
        return len(self._response)  # type: ignore[arg-type]


class Tee:
    """The body of a request as the server gives it, of which a copy is kept as it is read."""

    def __init__(self, stream: Any, body: Body) -> None:
        self._stream = stream
        self._body = body

    def read(self, *size: int) -> bytes:
        """As that of the stream."""
        return self._kept(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        """As that of the stream."""
        return self._kept(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        """As that of the stream."""
        return [self._kept(line) for line in self._stream.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            yield self._kept(line)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stream, name)
        if name == "read1":
            return lambda *size: self._kept(found(*size))
        if name == "readinto":
            return lambda buffer: self._filled(buffer, found(buffer))
        return found

    def _filled(self, buffer: Any, size: int | None) -> int | None:
        with memoryview(buffer) as view:
            self._body.add(view.cast("B")[: size or 0])
        return size

    def _kept(self, part: bytes) -> bytes:
        self._body.add(part)
        return part


def _is_file(response: object, environ: Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(response, wrapper)


def decoded(text: str) -> str:
    """WSGI has bytes in strings, as Latin-1; mostly they are UTF-8."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text


def _variable(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")


_VARIABLES: dict[str, str] = {}


def wanted_headers(environ: Environ, names: tuple[str, ...]) -> dict[str, str]:
    """The headers of these names, as far as they came."""
    found = {}
    for name in names:
        variable = _VARIABLES.get(name) or _VARIABLES.setdefault(name, _variable(name))
        value = environ.get(variable)
        if value is not None:
            found[name] = decoded(value)
    return found


def request_headers(environ: Environ) -> Iterator[tuple[str, str]]:
    """All headers of the request."""
    for variable, value in environ.items():
        if variable.startswith("HTTP_"):
            yield variable[5:].replace("_", "-").lower(), decoded(str(value))
        elif variable in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            yield variable.replace("_", "-").lower(), str(value)


__all__ = ["WSGIMiddleware"]
