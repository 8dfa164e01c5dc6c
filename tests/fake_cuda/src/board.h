/*
 * The board that all processes share: a file that each of them maps, with an account for each process on it.
 * tests.fake_cuda.board reads the same layout, and tells the fake NVML.
 */
#ifndef FAKE_CUDA_BOARD_H
#define FAKE_CUDA_BOARD_H

#include <stdatomic.h>
#include <stdint.h>

#define SLOTS 64

/* The account of one process. */
struct slot {
    _Atomic int32_t pid;
    _Atomic int32_t at_work;
    _Atomic uint64_t busy_ns;
    _Atomic uint64_t memory;
};

struct board {
    char uuid[16];
    uint64_t memory;
    uint32_t sms;
    uint32_t major, minor;
    uint32_t reserved;
    struct slot slots[SLOTS];
};

/* What a kernel is to do: take time, or look at the clock for so long and write its jumps to `out`. */
struct work {
    int gaps;
    double seconds;
    uint64_t threshold, room;
    uint64_t *out;
};

extern struct board *board;
extern struct slot *mine;

/* Take a free slot, or that of a process that has ended; NULL when there is none. */
struct slot *board_claim(void);

/* Bytes that all living processes hold. */
uint64_t board_held(void);

/* Do one piece of work among everybody else's. */
void board_serve(struct work *work);

#endif
