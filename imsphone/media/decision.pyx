"""When to play faster, slower, or just as it comes.

                    lengthen, as soon as sound runs out and the next packet is overdue
    there ──▶ 25 ms ─────────────────────────────────────────────────────────────▶ delay
                    lengthen │  as it comes  │ shorten
                        target - BELOW    target + ABOVE

Both directions share one account: what was inserted or removed is *owed* and paid back by 2 ms a pull, which is the
20 % that a listener does not mind. Within speech nothing is done while something is owed, so one period may come at
once and the average holds; in a pause, where nobody hears it, it may run up to `PAUSE_DEBT_MS`: most of the work is
done there. Unit: ms; delays above the least transit (see `arrival`).
"""

cdef double RATE = 0.2, PULL_MS = 10.0
# One pitch period of a high voice is 2.5 ms: a narrower band could not be held.
cdef double ABOVE_MS = 2.0, BELOW_MS = 5.0
# Lengthening works on 10 ms and its effect is needed when the sound that is there ends: with two pulls' sound left it
# is early enough, and what comes meanwhile makes it unnecessary.
cdef double LOW_MS = 20.0
# What overdue packets may add to the delay: beyond that it is a stall that 20 % cannot bridge.
cdef double OVERDUE_MS = 80.0
cdef double PAUSE_DEBT_MS = 50.0  # five pulls of a pause in one go, half a second of the 20 %
cdef double LONGEST_MS = 15.0  # of one change: the pitch period of the deepest voice (see `pitch`)
cdef double PAUSE_STEP_MS = 10.0


cdef class Pace:
    """The account of one stream."""

    def __init__(self):
        self.owed_ms = 0.0

    def wanted_ms(self, delay_ms, target_ms, there_ms, is_overdue, is_pause):
        """By how much to lengthen (positive, at most), to shorten (negative, at most), or 0.

        `there_ms` of sound can be played without a gap.
        """
        return self.change(delay_ms, target_ms, there_ms, is_overdue, is_pause)

    def done(self, ms):
        """So much was inserted or removed."""
        self.did(ms)

    def pulled(self):
        """Ten milliseconds passed."""
        self.tick()

    cdef double change(self, double delay_ms, double target_ms, double there_ms, bint is_overdue,
                       bint is_pause) noexcept nogil:
        cdef double excess_ms = delay_ms - target_ms
        if self.owed_ms >= (PAUSE_DEBT_MS if is_pause else RATE * PULL_MS):
            return 0.0
        if excess_ms > ABOVE_MS and there_ms >= 2 * PULL_MS:
            return -min(excess_ms, PAUSE_STEP_MS if is_pause else LONGEST_MS)
        if excess_ms < -BELOW_MS or (is_overdue and there_ms < LOW_MS and excess_ms < OVERDUE_MS):
            return PAUSE_STEP_MS if is_pause else LONGEST_MS
        return 0.0

    cdef void did(self, double ms) noexcept nogil:
        self.owed_ms += ms if ms > 0 else -ms

    cdef void tick(self) noexcept nogil:
        self.owed_ms = max(0.0, self.owed_ms - RATE * PULL_MS)
