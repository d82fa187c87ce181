"""What networks, programs and enemies do to messages: new inputs out of honest ones, the same for the same seed."""

from __future__ import annotations

from random import Random

MOST_BYTES = 8192

PIECES = [
    *(
        b"\r\n",
        b"\r\n ",
        b"\r\n\r\n",
        b"\n",
        b"\0",
        b"\xff",
        b" ",
        b"\t",
        b",",
        b";",
        b":",
        b"=",
        b'"',
        b"\\",
        b"<",
        b">",
    ),
    *(
        b"%00",
        b"%",
        b"@",
        b"[::1]",
        b"sip:",
        b"tel:",
        b"SIP/2.0 ",
        b"SIP/2.0/UDP ",
        b";branch=z9hG4bK",
        b";tag=",
        b";lr",
    ),
    *(b"-1", b"0", b"65536", b"4294967296", b"99999999999999999999", b"1e9", b"00", b"\xe4\xb8\xad", b"\xed\xa0\x80"),
    *(b"Via: ", b"CSeq: 1 ACK\r\n", b"Content-Length: 1\r\n", b"Require: x\r\n", b"To: <sip:a>\r\n", b"Contact: *\r\n"),
    *(b"Security-Server: ipsec-3gpp;alg=null;ealg=null;spi-c=1;spi-s=2;port-c=3;port-s=4\r\n", b"Retry-After: 1 (x)"),
    *(
        b"<!DOCTYPE a [<!ENTITY a 'aaaaaaaaaa'>]>",
        b"&a;",
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b'version="0"',
        b'expires="0"',
    ),
    *(
        b"terminated",
        b"rejected",
        b"deactivated",
        b"probation",
        b"AKAv1-MD5",
        b"auth-int",
        b"a=rtpmap:0 ",
        b"m=audio 0 ",
    ),
]


class Mangler:
    """Makes new inputs out of the corpus: what networks, programs and enemies do to messages."""

    def __init__(self, corpus: list[bytes], random: Random) -> None:
        self._corpus = corpus
        self._random = random

    def next(self) -> bytes:
        """One more input."""
        return self.mangled(self._random.choice(self._corpus))

    def mangled(self, data: bytes) -> bytes:
        """This input, changed in a few places."""
        random = self._random
        for _ in range(random.choice((1, 1, 1, 2, 3, 5, 9))):
            data = random.choice(self._WAYS)(self, data)
        return data[:MOST_BYTES]

    def _span(self, data: bytes) -> tuple[int, int]:
        start = self._random.randint(0, len(data))
        return start, min(len(data), start + self._random.choice((1, 1, 2, 4, 8, 16, 64, 256)))

    def _flip(self, data: bytes) -> bytes:
        at = self._random.randrange(len(data)) if data else 0
        return data[:at] + bytes(octet ^ 1 << self._random.randrange(8) for octet in data[at : at + 1]) + data[at + 1 :]

    def _cut(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def _end_early(self, data: bytes) -> bytes:
        return data[: self._span(data)[0]]

    def _repeat(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[start:end] * self._random.choice((2, 3, 17, 300)) + data[end:]

    def _insert(self, data: bytes) -> bytes:
        at = self._span(data)[0]
        return data[:at] + self._random.choice(PIECES) + data[at:]

    def _overwrite(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + self._random.randbytes(end - start) + data[end:]

    def _splice(self, data: bytes) -> bytes:
        other = self._random.choice(self._corpus)
        return data[: self._span(data)[0]] + other[self._span(other)[0] :]

    def _lines(self, data: bytes) -> bytes:
        lines = data.split(b"\r\n")
        first, second = self._random.randrange(len(lines)), self._random.randrange(len(lines))
        match self._random.randrange(3):
            case 0:
                lines[first], lines[second] = lines[second], lines[first]
            case 1:
                lines.insert(second, lines[first])
            case _:
                del lines[first]
        return b"\r\n".join(lines)

    def _value(self, data: bytes) -> bytes:
        """What stands between two separators becomes something else."""
        seps = [at for at, octet in enumerate(data) if octet in b'=;,: "<>']
        if not seps:
            return data
        at = self._random.choice(seps) + 1
        end = next((sep for sep in seps if sep >= at), len(data))
        return data[:at] + self._random.choice(PIECES) + data[end:]

    _WAYS = (_flip, _flip, _cut, _end_early, _repeat, _insert, _insert, _overwrite, _splice, _lines, _value, _value)
