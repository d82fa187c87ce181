"""The plug-in as its users meet it: a test file of their own, in a folder of their own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

TEST = """
    def test_busy(world, alice, assert_ladder):
        alice.register()
        alice.call("busy")
        world.run_for(5)
        assert_ladder(world, '''
            ...
            p-cscf -> alice  486 Busy Here
            alice -> p-cscf  {ack}
        ''', nodes=["alice", "p-cscf"])

    async def test_sockets(lab):
        from imsphone.phone import Phone
        async with Phone(lab.profile("alice"), isim=lab.isim("alice")) as phone:
            assert (await phone.register()).expires_s > 0
"""


def test_its_fixtures_are_there_without_an_import(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST.replace("{ack}", "ACK"))
    pytester.runpytest_subprocess("-o", "asyncio_mode=auto").assert_outcomes(passed=2)


def test_a_ladder_that_differs_is_shown_as_a_diff(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST.replace("{ack}", "CANCEL"))
    result = pytester.runpytest_subprocess("-o", "asyncio_mode=auto", "-k", "busy")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*expected (-) and happened (+)*", "*-*CANCEL*", "*+*ACK*"])
