"""One connection as uvicorn has it, with a limit of its headers and errors in the words of the other answers."""

import json
import sys

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Bytes that a request's first line and headers may have together.
MOST_OF_HEADERS = 1 << 16
#: Seconds for which a client that was refused may go on sending: it would see a broken connection, and no answer.
_LINGER = 1.0


class Connection(H11Protocol):
    """uvicorn's connection by h11, which ends one whose headers have no end.

    httptools, which uvicorn would take, keeps a header of any length, and looks through all of it at each new part.
    """

    refused = False

    def data_received(self, data: bytes) -> None:
        """Takes what a client sends; what comes after a refusal is dropped."""
        if not self.refused:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP: 431 for headers beyond the limit, otherwise 400, and closes."""
        error = sys.exc_info()[1]
        code = 431 if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431 else 400
        sentence = "this is no request of HTTP/1.1"
        if code == 431:
            sentence = f"the headers have more than the {MOST_OF_HEADERS >> 10} KB that this server takes"
        body = json.dumps({"error": sentence}).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # no answer has begun
            for event in (h11.Response(status_code=code, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.refused = True
        self.loop.call_later(_LINGER, self.transport.close)
