"""Two kernels as PTX text, which every driver compiles by itself: no toolkit is needed on the machine.

`spin` does a fixed amount of work. A kernel that spun until a clock had moved on would count the time that others had the
device as its own work, so that nobody could lose anything to anybody. `gaps` is the opposite: one thread that looks at
the device's clock for a while and writes down whenever the clock jumped, which is when somebody else had the turn.

Facts: PTX ISA, sections on `.target`, `%globaltimer` and `.param`; a module for an older target runs on newer devices.
"""

from __future__ import annotations

from typing import Final

SPIN: Final = "spin"
GAPS: Final = "gaps"

OLDEST: Final = ("6.3", "sm_70")
"""PTX version and target that a driver of R410 or newer takes, for Volta and everything after it."""

GAPS_HEAD: Final = 3
"""64-bit words before the pairs in what `gaps` writes: how many there were, its first and its last look at the clock."""

_TEXT: Final = """\
.version {version}
.target {target}
.address_size 64

.visible .entry spin(.param .u64 spin_rounds, .param .u64 spin_out)
{{
    .reg .pred %p<3>;
    .reg .b32 %r<4>;
    .reg .b64 %rd<5>;

    ld.param.u64 %rd1, [spin_rounds];
    ld.param.u64 %rd2, [spin_out];
    mov.u32 %r1, %tid.x;
    or.b32 %r1, %r1, 1;
    mov.u64 %rd3, 0;
spin_next:
    setp.ge.u64 %p1, %rd3, %rd1;
    @%p1 bra spin_end;
    shl.b32 %r2, %r1, 13;
    xor.b32 %r1, %r1, %r2;
    shr.u32 %r2, %r1, 17;
    xor.b32 %r1, %r1, %r2;
    shl.b32 %r2, %r1, 5;
    xor.b32 %r1, %r1, %r2;
    add.u64 %rd3, %rd3, 1;
    bra.uni spin_next;
spin_end:
    setp.ne.u32 %p2, %r1, 0;
    @%p2 bra spin_done;
    cvta.to.global.u64 %rd4, %rd2;
    st.global.u32 [%rd4], %r1;
spin_done:
    ret;
}}

.visible .entry gaps(
    .param .u64 gaps_nanoseconds,
    .param .u64 gaps_threshold,
    .param .u64 gaps_room,
    .param .u64 gaps_out
)
{{
    .reg .pred %p<4>;
    .reg .b64 %rd<14>;

    ld.param.u64 %rd1, [gaps_nanoseconds];
    ld.param.u64 %rd2, [gaps_threshold];
    ld.param.u64 %rd3, [gaps_room];
    ld.param.u64 %rd4, [gaps_out];
    cvta.to.global.u64 %rd4, %rd4;
    mov.u64 %rd5, %globaltimer;
    mov.u64 %rd6, %rd5;
    mov.u64 %rd7, 0;
    add.u64 %rd8, %rd4, 24;
gaps_next:
    mov.u64 %rd9, %globaltimer;
    sub.u64 %rd10, %rd9, %rd6;
    setp.lt.u64 %p1, %rd10, %rd2;
    @%p1 bra gaps_seen;
    setp.ge.u64 %p2, %rd7, %rd3;
    @%p2 bra gaps_count;
    sub.u64 %rd11, %rd6, %rd5;
    st.global.u64 [%rd8], %rd11;
    st.global.u64 [%rd8+8], %rd10;
    add.u64 %rd8, %rd8, 16;
gaps_count:
    add.u64 %rd7, %rd7, 1;
gaps_seen:
    mov.u64 %rd6, %rd9;
    sub.u64 %rd12, %rd9, %rd5;
    setp.lt.u64 %p3, %rd12, %rd1;
    @%p3 bra gaps_next;
    st.global.u64 [%rd4], %rd7;
    st.global.u64 [%rd4+8], %rd5;
    st.global.u64 [%rd4+16], %rd9;
    ret;
}}
"""


def text(version: str = OLDEST[0], target: str = OLDEST[1]) -> str:
    """Return the module's text for a PTX version and a target."""
    return _TEXT.format(version=version, target=target)


def forms(major: int, minor: int) -> tuple[str, ...]:
    """Return the texts to try on a device of that compute capability: the oldest target first, then its own.

    The second is for a driver that should no longer take the first. PTX 8.7 knows every target up to Blackwell.
    """
    return text(), text("8.7", f"sm_{major}{minor}")


def gaps_of(words: tuple[int, ...]) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Return how long `gaps` looked and its pairs (when, how long), in nanoseconds, from what it wrote."""
    count, first, last = words[:GAPS_HEAD]
    pairs = min(count, (len(words) - GAPS_HEAD) // 2)
    found = tuple((words[GAPS_HEAD + 2 * i], words[GAPS_HEAD + 2 * i + 1]) for i in range(pairs))
    return last - first, found
