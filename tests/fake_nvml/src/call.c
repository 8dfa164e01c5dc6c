/*
 * The frame of every call: one at a time, counted, delayed, refused or hung as the state says.
 *
 * The library itself is safe to enter from two threads; that two were inside at once is counted, because the real one
 * is not (concurrent GPM calls have crashed processes and reportedly a kernel).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"
#include "frame.h"

#define NAMES 128
#define POLL_US 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int in_flight;
static atomic_long concurrent, total;
static struct {
    const char *name;
    unsigned long calls;
} counted[NAMES];

_Noreturn void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("fake nvml: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

static uint64_t clock_of(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t clock_us(void) {
    return clock_of(CLOCK_REALTIME);
}

uint64_t monotonic_us(void) {
    return clock_of(CLOCK_MONOTONIC);
}

nvml_return put_text(char *out, unsigned room, const char *text) {
    if (!out) return NVML_INVALID_ARGUMENT;
    if (strlen(text) >= room) return NVML_INSUFFICIENT_SIZE;
    strcpy(out, text);
    return NVML_SUCCESS;
}

static void count(const char *name) {
    total++;
    for (int i = 0; i < NAMES; i++) {
        if (!counted[i].name) counted[i].name = name;
        if (counted[i].name == name) {
            counted[i].calls++;
            return;
        }
    }
    die("more than %d functions", NAMES);
}

void call_begin(const char *name) {
    if (atomic_fetch_add(&in_flight, 1) > 0) concurrent++;
    pthread_mutex_lock(&lock);
    count(name);
}

void call_leave(struct call *call) {
    (void)call;
    pthread_mutex_unlock(&lock);
    atomic_fetch_sub(&in_flight, 1);
}

void call_pause(struct call *call, unsigned microseconds) {
    pthread_mutex_unlock(&lock);
    usleep(microseconds);
    pthread_mutex_lock(&lock);
    call->state = state_now();
}

static bool applies(const struct fault *fault, const char *name, const struct target *target) {
    if (strcmp(fault->call, "*") != 0 && strcmp(fault->call, name) != 0) return false;
    if (!fault->device[0]) return !target->named_only;
    return target->device && (strcmp(fault->device, target->device) == 0 || strcmp(fault->device, target->parent) == 0);
}

static nvml_return strongest(const struct state *state, const char *name, const struct target *target, bool *hung,
                             unsigned *delay) {
    nvml_return code = NVML_SUCCESS;
    for (size_t i = 0; i < state->faults.count; i++) {
        const struct fault *fault = &state->faults.items[i];
        if (!applies(fault, name, target)) continue;
        if (fault->effect == FAULT_HANG) *hung = true;
        if (fault->effect == FAULT_DELAY) *delay += fault->amount;
        if (fault->effect == FAULT_CODE) code = (nvml_return)fault->amount;
    }
    return code;
}

nvml_return call_faults(struct call *call, const char *name, const struct target *target) {
    bool delayed = false;
    while (call->state) {
        bool hung = false;
        unsigned delay = target->named_only ? 0 : (unsigned)entity_or(&call->state->entity, "latency_us", 0);
        nvml_return code = strongest(call->state, name, target, &hung, &delay);
        if (hung) {
            call_pause(call, POLL_US);
        } else if (delay && !delayed) {
            delayed = true;
            call_pause(call, delay);
        } else {
            return code;
        }
    }
    return NVML_UNKNOWN;
}

nvml_return call_faults_of(struct call *call, const char *name, const char *device, const struct handle *handle) {
    char *kept = strdup(device); /* the state that it points into may go */
    if (!kept) die("out of memory");
    struct target target = {.device = kept, .parent = kept, .named_only = true};
    nvml_return code = call_faults(call, name, &target);
    free(kept);
    return code == NVML_SUCCESS && handle ? handle_resolve(call, name, handle) : code;
}

static nvml_return lifetime(const char *name) {
    if (lifetime_inits() > 0) return NVML_SUCCESS;
    if (lifetime_ended()) die("%s: called after nvmlShutdown", name);
    return NVML_UNINITIALIZED;
}

struct call call_enter(const char *name) {
    call_begin(name);
    struct call call = {.code = lifetime(name)};
    if (call.code != NVML_SUCCESS) goto refused;
    call.state = state_now();
    call.code = call_faults(&call, name, &(struct target){0});
    if (call.code == NVML_SUCCESS) return call;
refused:
    call_leave(&call);
    return call;
}

struct call call_enter_on(const char *name, struct handle *handle, const char *kinds) {
    call_begin(name);
    struct call call = {.code = lifetime(name)};
    if (call.code != NVML_SUCCESS) goto refused;
    call.code = NVML_INVALID_ARGUMENT;
    if (!handle) goto refused;
    handle_check(name, handle);
    if (!strchr(kinds, (int)handle->kind)) goto refused;
    call.state = state_now();
    struct target target = {.device = handle->bound, .parent = handle->gpu};
    call.code = call_faults(&call, name, &target);
    if (call.code == NVML_SUCCESS) call.code = handle_resolve(&call, name, handle);
    if (call.code == NVML_SUCCESS) return call;
refused:
    call_leave(&call);
    return call;
}

/* --- what the tests read, by ctypes ------------------------------------------------------------------------------ */

/* Calls of one function since the library was loaded; all of them with NULL. */
API unsigned long fake_nvml_calls(const char *name) {
    if (!name) return (unsigned long)total;
    unsigned long calls = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < NAMES && counted[i].name; i++)
        if (strcmp(counted[i].name, name) == 0) calls = counted[i].calls;
    pthread_mutex_unlock(&lock);
    return calls;
}

/* How often a thread came in while another was inside. */
API long fake_nvml_concurrent_calls(void) {
    return concurrent;
}

/* Threads inside now: 1 while a call hangs. */
API int fake_nvml_in_flight(void) {
    return in_flight;
}
