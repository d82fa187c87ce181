"""The foreign far end itself: a pjsua2 phone that registers by Digest, rings, answers and echoes.

It runs in a process of its own (`imsphone.testing.foreign` starts it), because pjlib is a C library that ends the
interpreter when it is displeased, and because a far end that shares no line with us is the point of having one.

    stdin   first line   its orders as JSON (`foreign.Orders`), the password among them; it lives until stdin closes
            every other  a text to send: {"target": "sip:alice@ims.example", "body": "hello"}
    stdout  every line   one JSON object: what happened, under `event`
    stderr               what pjlib has to say

    {"event": "ready", "version": "2.15.1", "codecs": ["PCMU/8000/1", ...]}
    {"event": "registration", "status": 200, "reason": "OK", "expires_s": 300, "is_active": true}
    {"event": "incoming", "call": 0, "remote": "<sip:alice@ims.example>"}
    {"event": "call", "call": 0, "state": "CONFIRMED", "status": 200, "reason": "OK"}
    {"event": "media", "call": 0, "codec": "PCMA", "remote": "127.0.10.1:40000"}
    {"event": "measured", "call": 0, "received": 1300, "lost": 0, "sent": 1300}
    {"event": "text", "remote": "<sip:alice@ims.example>", "body": "hello"}
    {"event": "texted", "status": 200, "reason": "OK", "body": "hello"}
    {"event": "failed", "sentence": "pjsua2 cannot ..."}

The echo is the conference bridge joining the call with itself, on the null sound device, whose clock is pjlib's own.
SIP is handled on the main thread (`libHandleEvents`), so no callback comes from a thread that Python does not know.
"""

from __future__ import annotations

import io
import json
import os
import select
import time
from typing import Any, TextIO

import pjsua2 as pj

from imsphone.testing.foreign import Orders

POLL_MS = 20
GOODBYE_S = 3.0  # the longest it waits for its BYEs and its deregistration to be answered


class Reporter:
    """Tells the parent what happens, a line each; a parent that is gone ends the phone."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def tell(self, event: str, **fields: Any) -> None:
        try:
            self._out.write(json.dumps({"event": event} | fields) + "\n")
            self._out.flush()
        except BrokenPipeError:
            os._exit(0)


class Call(pj.Call):  # type: ignore[misc]  # pjsua2 has no types
    """An incoming call: 180 at once, 200 when `FarEnd` says so, and its own sound back."""

    def __init__(self, account: Account, number: int) -> None:
        super().__init__(account, number)
        self.number = number
        self._far_end = account.far_end

    def answer_with(self, status: int) -> None:
        parameter = pj.CallOpParam()
        parameter.statusCode = status
        self.answer(parameter)

    def onCallState(self, _: Any) -> None:
        info = self.getInfo()
        told = {"state": info.stateText, "status": info.lastStatusCode, "reason": info.lastReason}
        self._far_end.reporter.tell("call", call=self.number, **told)
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._far_end.calls.pop(self.number, None)

    def onCallMediaState(self, _: Any) -> None:
        info = self.getInfo()  # held: its media die with it, and reading them then yields garbage, not an error
        for index, media in enumerate(info.media):
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                audio = self.getAudioMedia(index)
                audio.startTransmit(audio)
                stream = self.getStreamInfo(index)
                told = {"codec": stream.codecName, "remote": stream.remoteRtpAddress}
                self._far_end.reporter.tell("media", call=self.number, **told)

    def onStreamDestroyed(self, parameter: Any) -> None:
        stream = self.getStreamStat(parameter.streamIdx)
        received, sent = stream.rtcp.rxStat, stream.rtcp.txStat
        told = {"received": received.pkt, "lost": received.loss, "sent": sent.pkt}
        self._far_end.reporter.tell("measured", call=self.number, **told)


class Account(pj.Account):  # type: ignore[misc]
    """Who the phone is. Without a user it registers nowhere and takes what comes."""

    def __init__(self, far_end: FarEnd) -> None:
        super().__init__()
        self.far_end = far_end
        self.is_registered = False  # as answered; regIsActive falls as soon as a deregistration is sent

    def onRegState(self, parameter: Any) -> None:
        self.is_registered = bool(self.getInfo().regIsActive)
        told = {"status": int(parameter.code), "reason": parameter.reason, "expires_s": parameter.expiration}
        self.far_end.reporter.tell("registration", **told, is_active=self.is_registered)

    def onIncomingCall(self, parameter: Any) -> None:
        self.far_end.ring(Call(self, parameter.callId))

    def onInstantMessage(self, parameter: Any) -> None:
        self.far_end.reporter.tell("text", remote=parameter.fromUri, body=parameter.msgBody)

    def onInstantMessageStatus(self, parameter: Any) -> None:
        told = {"status": int(parameter.code), "reason": parameter.reason, "body": parameter.msgBody}
        self.far_end.reporter.tell("texted", **told)


class FarEnd:
    """pjlib, one account and its calls, from start to goodbye."""

    def __init__(self, orders: Orders, reporter: Reporter) -> None:
        self.reporter = reporter
        self.calls: dict[int, Call] = {}
        self._buddies: list[Any] = []
        self._answers: list[tuple[float, int]] = []  # when, which call
        self._ring_s = orders.ring_s
        self._endpoint = pj.Endpoint()
        self._endpoint.libCreate()
        self._endpoint.libInit(endpoint_config())
        for kind in (pj.PJSIP_TRANSPORT_UDP, pj.PJSIP_TRANSPORT_TCP):
            transport = pj.TransportConfig()
            transport.port = orders.port
            transport.boundAddress = transport.publicAddress = orders.host
            self._endpoint.transportCreate(kind, transport)
        if orders.tls_ca:
            transport = pj.TransportConfig()
            transport.boundAddress = transport.publicAddress = orders.host
            transport.tlsConfig.CaListFile = orders.tls_ca
            transport.tlsConfig.verifyServer = True
            self._endpoint.transportCreate(pj.PJSIP_TRANSPORT_TLS, transport)
        self._endpoint.libStart()
        self._endpoint.audDevManager().setNullDev()
        codecs = [codec.codecId for codec in self._endpoint.codecEnum2() if codec.priority]
        reporter.tell("ready", version=self._endpoint.libVersion().full, codecs=codecs)
        self._account = Account(self)
        self._account.create(account_config(orders))

    def ring(self, call: Call) -> None:
        self.calls[call.number] = call
        self.reporter.tell("incoming", call=call.number, remote=call.getInfo().remoteUri)
        call.answer_with(180)
        self._answers.append((time.monotonic() + self._ring_s, call.number))

    def text(self, target: str, body: str) -> None:
        """Write to somebody."""
        buddy, whom = pj.Buddy(), pj.BuddyConfig()
        whom.uri = target
        buddy.create(self._account, whom)
        self._buddies.append(buddy)  # for as long as the answer is under way
        parameter = pj.SendInstantMessageParam()
        parameter.content = body
        buddy.sendInstantMessage(parameter)

    def step(self) -> None:
        self._endpoint.libHandleEvents(POLL_MS)
        while self._answers and self._answers[0][0] <= time.monotonic():
            _, number = self._answers.pop(0)
            if number in self.calls:  # the caller may have hung up while it rang
                self.calls[number].answer_with(200)

    def leave(self) -> None:
        """Hang up and deregister."""
        self._endpoint.hangupAllCalls()
        if self._account.is_registered:
            self._account.setRegistration(False)
        until = time.monotonic() + GOODBYE_S
        while time.monotonic() < until and (self.calls or self._account.is_registered):
            self.step()


def endpoint_config() -> Any:
    """No thread for SIP, no resampling of G.711, no silence suppression: what comes in is what goes out."""
    config = pj.EpConfig()
    config.logConfig.level = config.logConfig.consoleLevel = 2
    config.uaConfig.userAgent = "pjsua2"
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
    config.medConfig.noVad = True
    config.medConfig.ecTailLen = 0
    return config


def account_config(orders: Orders) -> Any:
    """Registered by Digest through the outbound proxy, or local where there is no user."""
    config = pj.AccountConfig()
    config.idUri = f"sip:{orders.user}@{orders.realm}" if orders.user else f"sip:pjsua2@{orders.host}:{orders.port}"
    config.callConfig.prackUse = pj.PJSUA_100REL_OPTIONAL
    config.natConfig.contactRewriteUse = 0  # our addresses are what they seem
    config.natConfig.viaRewriteUse = 0
    media = config.mediaConfig.transportConfig
    media.boundAddress = media.publicAddress = orders.host
    if orders.user:
        config.regConfig.registrarUri = f"sip:{orders.realm}"
        config.sipConfig.authInitialEmpty = True  # TS 24.229 5.1.1.2.3: the first REGISTER names the private identity
        config.sipConfig.authCreds.append(pj.AuthCredInfo("Digest", orders.realm, orders.impi, 0, orders.password))
    if orders.proxy:
        transport = ";transport=tls" if orders.tls_ca else ""
        config.sipConfig.proxies.append(f"sip:{orders.proxy}{transport};lr")
    return config


def main() -> None:
    """Be that phone until standard input closes."""
    # pjlib writes to descriptor 1 before it can be told not to: keep the real one for ourselves.
    reporter = Reporter(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)
    stdin = io.FileIO(0)  # a line that waits in a buffer is none for select
    orders = Orders.read(stdin.readline())
    try:
        far_end = FarEnd(orders, reporter)
        while True:
            if select.select([0], [], [], 0)[0]:
                line = stdin.readline()
                if not line:
                    break
                far_end.text(**json.loads(line))
            far_end.step()
        far_end.leave()
    except pj.Error as error:
        reporter.tell("failed", sentence=f"pjsua2 cannot {error.title.rstrip('()')}: {error.reason}")
        os._exit(1)
    os._exit(0)  # libDestroy sleeps for a second and frees nothing that the system does not


if __name__ == "__main__":
    main()
