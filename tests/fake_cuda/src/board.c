/* Who has the device, and for how long: all processes that have work at one moment get equal parts of it. */
#define _GNU_SOURCE
#include "board.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_NAP 0.001
#define TURN 0.002

struct board *board;
struct slot *mine;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static void nap(double seconds) {
    struct timespec left = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&left, NULL);
}

static int alive(int32_t pid) {
    return kill(pid, 0) == 0 || errno == EPERM;
}

struct slot *board_claim(void) {
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SLOTS; i++) {
            int32_t held = board->slots[i].pid;
            if (held && (round == 0 || alive(held))) continue;
            if (!atomic_compare_exchange_strong(&board->slots[i].pid, &held, getpid())) continue;
            board->slots[i].at_work = 0;
            board->slots[i].busy_ns = 0;
            board->slots[i].memory = 0;
            return &board->slots[i];
        }
    }
    return NULL;
}

static int sharers(void) {
    int count = 0;
    for (int i = 0; i < SLOTS; i++)
        if (board->slots[i].pid && board->slots[i].at_work && alive(board->slots[i].pid)) count++;
    return count ? count : 1;
}

/* Do one piece of work among everybody else's. Somebody else's turn is a gap, where the kernel looks for gaps. */
void board_serve(struct work *work) {
    double begun = now(), last = begun, left = work->seconds;
    double seen = begun;
    uint64_t gaps = 0;
    mine->at_work = 1;
    while (left > 0) {
        int count = sharers();
        double want = left * (work->gaps ? 1 : count);
        nap(want < LONGEST_NAP ? want : LONGEST_NAP);
        double at = now(), got = (at - last) / count;
        mine->busy_ns += (uint64_t)(got * 1e9);
        left -= work->gaps ? at - last : got;
        for (; work->gaps && seen + count * TURN <= at; seen += count * TURN) {
            if (count < 2 || gaps >= work->room) continue;
            work->out[3 + 2 * gaps] = (uint64_t)((seen - begun) * 1e9);
            work->out[4 + 2 * gaps] = (uint64_t)((count - 1) * TURN * 1e9);
            gaps++;
        }
        last = at;
    }
    mine->at_work = 0;
    if (work->gaps) {
        work->out[0] = gaps;
        work->out[1] = (uint64_t)(begun * 1e9);
        work->out[2] = (uint64_t)(last * 1e9);
    }
}

uint64_t board_held(void) {
    uint64_t sum = 0;
    for (int i = 0; i < SLOTS; i++)
        if (board->slots[i].pid && alive(board->slots[i].pid)) sum += board->slots[i].memory;
    return sum;
}
