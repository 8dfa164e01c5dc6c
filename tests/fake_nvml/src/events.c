/*
 * Events: sets, registrations, and the queue in the state file.
 *
 * An event is given once in the life of the process (and of the state file's path), to a set on which its GPU and its type are registered; what was
 * queued before the set was made is given too. Unprivileged callers see only events of whole GPUs (nvml.h).
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#define ALIVE 0xE7E57000u
#define FREED 0xE7EDEAD0u
#define POLL_US 2000u

struct registration {
    char *gpu;
    uint64_t types;
    struct registration *next;
};

struct event_set {
    uint32_t magic;
    struct registration *registrations;
};

static long live;
static struct {
    uint64_t *items;
    size_t count, room;
    unsigned story;
} given;

/* Event sets made and not freed. */
API long fake_nvml_live_event_sets(void) {
    return live;
}

static void check(const char *name, const struct event_set *set) {
    if (set->magic == FREED) die("%s: an event set that was freed", name);
    if (set->magic != ALIVE) die("%s: not an event set", name);
}

static bool was_given(uint64_t sequence) {
    if (given.story != state_story()) given.count = 0;
    given.story = state_story();
    for (size_t i = 0; i < given.count; i++)
        if (given.items[i] == sequence) return true;
    return false;
}

static void remember(uint64_t sequence) {
    if (given.count == given.room) {
        given.room = given.room ? 2 * given.room : 64;
        given.items = realloc(given.items, given.room * sizeof *given.items);
        if (!given.items) die("out of memory");
    }
    given.items[given.count++] = sequence;
}

API nvml_return nvmlEventSetCreate(nvml_event_set *out) {
    ENTER(call);
    if (!out) return NVML_INVALID_ARGUMENT;
    struct event_set *set = calloc(1, sizeof *set);
    if (!set) return NVML_MEMORY;
    set->magic = ALIVE;
    live++;
    *out = set;
    return NVML_SUCCESS;
}

API nvml_return nvmlEventSetFree(nvml_event_set set) {
    ENTER(call);
    if (!set) return NVML_INVALID_ARGUMENT;
    check(__func__, set);
    while (set->registrations) {
        struct registration *first = set->registrations;
        set->registrations = first->next;
        free(first->gpu);
        free(first);
    }
    set->magic = FREED;
    live--;
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetSupportedEventTypes(nvml_device device, uint64_t *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    return entity_u64(&call.gpu->entity, "event_types", out);
}

/* Refused as a whole when one type is not supported. */
API nvml_return nvmlDeviceRegisterEvents(nvml_device device, uint64_t types, nvml_event_set set) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    if (!set) return NVML_INVALID_ARGUMENT;
    check(__func__, set);
    if (types & ~entity_or(&call.gpu->entity, "event_types", 0)) return NVML_NOT_SUPPORTED;
    struct registration *made = calloc(1, sizeof *made);
    if (!made || !(made->gpu = strdup(call.gpu->uuid))) die("out of memory");
    made->types = types;
    made->next = set->registrations;
    set->registrations = made;
    return NVML_SUCCESS;
}

static bool wants(const struct event_set *set, const struct event *event) {
    for (const struct registration *one = set->registrations; one; one = one->next)
        if ((one->types & event->type) && strcmp(one->gpu, event->gpu) == 0) return true;
    return false;
}

static bool next_event(const struct call *call, const struct event_set *set, nvml_event_data *out) {
    bool privileged = entity_or(&call->state->entity, "privileged", 1) != 0;
    for (size_t i = 0; i < call->state->events.count; i++) {
        const struct event *event = &call->state->events.items[i];
        const struct gpu *gpu = state_gpu(call->state, event->gpu);
        if (!gpu || was_given(event->sequence) || !wants(set, event)) continue;
        if (!privileged && event->gi != NVML_WHOLE_GPU) continue;
        remember(event->sequence);
        *out = (nvml_event_data){.device = handle_of_gpu(gpu),
                                 .type = event->type,
                                 .data = event->data,
                                 .gi = event->gi,
                                 .ci = event->ci};
        return true;
    }
    return false;
}

static bool lost_one(const struct call *call, const struct event_set *set) {
    for (const struct registration *one = set->registrations; one; one = one->next) {
        const struct gpu *gpu = state_gpu(call->state, one->gpu);
        if (!gpu || entity_or(&gpu->entity, "lost", 0) == NVML_GPU_IS_LOST) return true;
    }
    return false;
}

/* Queued events first, then the loss of a registered GPU, then waiting (nvml.h, nvmlEventSetWait_v2). */
API nvml_return nvmlEventSetWait_v2(nvml_event_set set, nvml_event_data *out, unsigned timeout_ms) {
    ENTER(call);
    if (!set || !out) return NVML_INVALID_ARGUMENT;
    check(__func__, set);
    uint64_t end = monotonic_us() + 1000u * (uint64_t)timeout_ms;
    for (;;) {
        if (!call.state) return NVML_UNKNOWN;
        if (next_event(&call, set, out)) return NVML_SUCCESS;
        if (lost_one(&call, set)) return NVML_GPU_IS_LOST;
        if (monotonic_us() >= end) return NVML_TIMEOUT;
        call_pause(&call, POLL_US);
        check(__func__, set);
    }
}
