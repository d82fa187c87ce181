r"""How long sound should wait: as long as waiting costs less than what it saves.

Waiting longer makes talk sluggish; waiting less makes more sound up. The E-model (ITU-T G.107) puts both on one scale,
so the target is where the sum is least. What a delay would cost is not guessed from a distribution but tried: beside
the real playout run 128 imagined ones, each with another target, on the arrivals alone:

    cost in R │ \                   __/          a packet comes when sound has waited x:
              │  \  made up      __/  delay          x <= wait: nothing happened
              │   \__         __/                    x >  wait: x - wait was made up, and now sound waits x
              │      \__.____/                   then the wait sinks again by 40 %, down to the target
              └─────────┼─────────────▶ target

So a stall of ten packets costs its length once, as in the real buffer, and not ten late packets; and the delay that
stays after a stall is paid for. Each candidate's costs are forgotten by halves, on two scales: one for bursts and
handovers, one for quiet links. A histogram with a fixed quantile is the special case in which each late packet costs
the same and no delay costs more than another.

Prices, R a unit (G.107 with Cole and Rosenbluth's Id):
  delay      0.024 a ms, and 0.134 beyond 177.3 ms from mouth to ear. R is a figure of a call, and its delay the call's
             mean: so the price follows the mean of the last minute, and a calm call may wait long in a bad moment.
  made up    d/dc 95 c / (c + 25.1) at the share c of sound that is made up anyway: what is lost already makes a little
             more less annoying.
Unit of everything: ms above the least transit, on the ruler of pulls (see `arrival`).
"""

from libc.string cimport memset

# Mouth to ear outside the buffer: framing, network, devices (the 120 ms of TS 26.114's delay budget for speech).
cdef double ELSEWHERE_MS = 120.0
cdef double CHEAP = 0.024, DEAR = 0.134  # R a ms below and above the knee of Id
cdef double KNEE_MS = 177.3
# The price climbs over so many ms of mean delay before the knee: what is to come may be worse than what was, and a
# price that jumped would make the target jump.
cdef double RAMP_MS = 15.0
cdef double BPL = 25.1  # G.711 with concealment (G.113 appendix I)
# TS 26.114 8.2.3 wants less than 1 % of the frames touched by jitter: as that is used up, made-up sound costs more, up
# to twice. Aimed at a fifth less, since what is counted is past, and the next stall comes on top.
cdef double LATE_LIMIT_PERCENT = 0.8
# What the real playout catches up after a stall: 20 % in speech, more in pauses and where a merge leaves a period out.
cdef float DRAIN = 0.4
cdef double PACKET_MS = 20.0
# Half-lives in packets of 20 ms: 3 s is a Wi-Fi burst or a handover, 12 s several of them; each a flat optimum over
# channels of eleven kinds (docs/bench.md).
cdef double SHORT_HALF_LIFE = 150.0, LONG_HALF_LIFE = 600.0
cdef float SHORT_SHARE = 0.7
# Before anything is known: as if one packet had come, with delays that fall off by e every 8 ms: some 60 ms at first.
cdef float PRIOR_PACKETS = 1.0, PRIOR_MS = 8.0
# As good as no sound; what is forgotten by halves would otherwise become a denormal number, which costs 100 cycles.
cdef float NOTHING = 1e-20
cdef double RECENT_PULLS = 6000.0  # a minute

from libc.math cimport exp, exp2


cdef class Target:
    """The cheapest delay for packets like those that came; `ms` above the least transit."""

    def __init__(self):
        cdef int i
        cdef float made
        for i in range(CANDIDATES):
            # Narrow where prices differ, wide where nothing is precise: 0, 1.0, 2.1 ... 379 ms.
            self.delay[i] = i * (1 + i / <float> 64.0)
            self.wait[i] = self.delay[i]
            made = <float> (PACKET_MS * exp(-self.delay[i] / PRIOR_MS)) * PRIOR_PACKETS
            self.short_made[i] = self.long_made[i] = made
            self.short_delay[i] = self.long_delay[i] = self.delay[i] * PRIOR_PACKETS
        self.short_weight = self.long_weight = PRIOR_PACKETS
        self.ms = 0.0

    def came(self, waited_ms, moved_ms=0.0, packet_ms=PACKET_MS):
        """A packet of `packet_ms` came when sound of its age had waited `waited_ms`; the least moved by `moved_ms`."""
        self.note(waited_ms, moved_ms, packet_ms)

    def chosen(self, mean_ms=0.0, made_percent=0.0, late_percent=0.0):
        """The target at these averages of the call."""
        return self.choose(mean_ms, made_percent, late_percent)

    cdef void note(self, double waited_ms, double moved_ms, double packet_ms) noexcept nogil:
        cdef int i
        cdef float x = <float> waited_ms, length = <float> packet_ms, drain = DRAIN * length
        cdef float wait, made, short_kept, long_kept
        if moved_ms > 0:
            self.lift(moved_ms)
        elif moved_ms < 0:
            for i in range(CANDIDATES):
                self.wait[i] -= <float> moved_ms
        short_kept = <float> exp2(-packet_ms / (PACKET_MS * SHORT_HALF_LIFE))
        long_kept = <float> exp2(-packet_ms / (PACKET_MS * LONG_HALF_LIFE))
        for i in range(CANDIDATES):
            wait = self.wait[i] - drain
            wait = wait if wait > self.delay[i] else self.delay[i]
            made = x - wait
            made = made if made > 0 else 0
            wait += made
            self.wait[i] = wait
            self.short_made[i] = self.short_made[i] * short_kept + (made + NOTHING)
            self.long_made[i] = self.long_made[i] * long_kept + (made + NOTHING)
            self.short_delay[i] = self.short_delay[i] * short_kept + wait * length * <float> 0.05
            self.long_delay[i] = self.long_delay[i] * long_kept + wait * length * <float> 0.05
        self.short_weight = self.short_weight * short_kept + length * <float> 0.05
        self.long_weight = self.long_weight * long_kept + length * <float> 0.05

    cdef double choose(self, double mean_ms, double made_percent, double late_percent) noexcept nogil:
        cdef double to_knee = KNEE_MS - ELSEWHERE_MS - mean_ms
        cdef double used = min(1.0, max(0.0, late_percent) / LATE_LIMIT_PERCENT)
        cdef float price = <float> (DEAR - (DEAR - CHEAP) * min(1.0, max(0.0, to_knee / RAMP_MS)))
        # R a unit of made-up ms over ms: the slope of 95 c / (c + Bpl), c in percent, times 100.
        cdef float loss = <float> (100 * 95 * BPL / (made_percent + BPL) ** 2 * (1 + used * used) / PACKET_MS)
        cdef float short_share = SHORT_SHARE / self.short_weight, long_share = (1 - SHORT_SHARE) / self.long_weight
        cdef float cost[CANDIDATES]
        cdef int i, best = 0
        for i in range(CANDIDATES):
            cost[i] = (short_share * (loss * self.short_made[i] + price * self.short_delay[i])
                       + long_share * (loss * self.long_made[i] + price * self.long_delay[i]))
        for i in range(1, CANDIDATES):
            if cost[i] < cost[best]:
                best = i
        self.ms = self.delay[best]
        return self.ms

    cdef void lift(self, double moved_ms) noexcept nogil:
        """The least transit rose: what was tried with a delay was tried with so much less of it."""
        cdef int i, k = 0
        cdef float moved = <float> moved_ms
        for i in range(CANDIDATES):
            while k < CANDIDATES - 1 and self.delay[k] < self.delay[i] + moved:
                k += 1
            self.short_made[i], self.long_made[i] = self.short_made[k], self.long_made[k]
            self.short_delay[i] = max(self.short_delay[k] / self.short_weight - moved, self.delay[i]) * self.short_weight
            self.long_delay[i] = max(self.long_delay[k] / self.long_weight - moved, self.delay[i]) * self.long_weight
            self.wait[i] = max(self.wait[k] - moved, self.delay[i])


cdef class Delays:
    """The delays that sound really had, counted by the millisecond."""

    def __init__(self):
        memset(self.bins, 0, sizeof(self.bins))
        self.count = 0
        self.sum_ms = self.recent_ms = self.recent_count = 0.0

    def note(self, delay_ms):
        """Ten milliseconds were played with that delay."""
        self.add(delay_ms)

    @property
    def mean_ms(self):
        """0 where nothing was played."""
        return self.sum_ms / self.count if self.count else 0.0

    @property
    def p95_ms(self):
        """What 95 % did not exceed."""
        cdef long seen = 0
        cdef int i
        for i in range(LONGEST_MS):
            seen += self.bins[i]
            if seen >= 0.95 * self.count:
                return float(i)
        return float(LONGEST_MS - 1)

    cdef void add(self, double delay_ms) noexcept nogil:
        delay_ms = min(max(delay_ms, 0.0), LONGEST_MS - 1.0)
        self.bins[<int> (delay_ms + 0.5)] += 1
        self.count += 1
        self.sum_ms += delay_ms
        self.recent_count = min(self.recent_count + 1, RECENT_PULLS)
        self.recent_ms += (delay_ms - self.recent_ms) / self.recent_count
