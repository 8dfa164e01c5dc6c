/*
 * What the parts of the fake driver share: the state as parsed, handles, and the frame of a call.
 */
#ifndef FAKE_NVML_H
#define FAKE_NVML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"

#define API __attribute__((visibility("default")))

/* --- the state file (state.c) ------------------------------------------------------------------------------------ */

struct value {
    const char *key;
    const char *text;
    int code; /* what the driver answers instead of a value, or 0 */
    uint64_t number;
};

struct metric {
    unsigned id;
    int code;
    double value;
};

struct process {
    char kind; /* c, g or m */
    unsigned pid;
    bool has_memory;
    uint64_t memory;
    unsigned sm, mem;
    bool stamped; /* has a time of its own; else its sample is fresh at every call */
    uint64_t timestamp;
};

struct profile {
    const char *name;
    unsigned index, id, slices, sm_count, memory_mib, instances, engines[5];
};

/* Growing arrays: `items`, how many, and how many there is room for. */
#define LIST(type) struct { type *items; size_t count, room; }

/* What a GPU, a GPU instance and a MIG device have alike. */
struct entity {
    LIST(struct value) values;
    LIST(struct metric) metrics;
    LIST(struct process) processes;
};

struct gi {
    struct entity entity;
    unsigned id;
};

struct mig {
    struct entity entity;
    const char *uuid;
    unsigned index, gi, ci;
};

struct gpu {
    struct entity entity;
    const char *uuid;
    unsigned index;
    LIST(struct profile) profiles;
    LIST(struct gi) instances;
    LIST(struct mig) migs;
};

struct event {
    uint64_t sequence;
    const char *gpu;
    unsigned gi, ci;
    uint64_t type, data;
};

enum effect { FAULT_CODE, FAULT_HANG, FAULT_DELAY };

struct fault {
    const char *call, *device;
    enum effect effect;
    unsigned amount;
};

struct state {
    char *text; /* the file; every string above points into it */
    struct entity entity;
    LIST(struct gpu) gpus;
    LIST(struct event) events;
    LIST(struct fault) faults;
};

/* Parse `text` (owned from here on). Ends the process with a message when it is not a state file: a broken test. */
struct state *state_parse(char *text);
void state_free(struct state *state);

/* The state now, parsed again if the file has changed; NULL when there is none. Call with the lock held. */
struct state *state_now(void);

/* Grows by one with every state file of another path: another machine's life has begun. */
unsigned state_story(void);

const struct value *entity_value(const struct entity *entity, const char *key);
const struct metric *entity_metric(const struct entity *entity, unsigned id);

/* Read a number: NVML_SUCCESS, what the state says is refused, or NOT_SUPPORTED for a key that is not there. */
nvml_return entity_u64(const struct entity *entity, const char *key, uint64_t *out);
nvml_return entity_u32(const struct entity *entity, const char *key, unsigned *out);
uint64_t entity_or(const struct entity *entity, const char *key, uint64_t otherwise);
const char *entity_text(const struct entity *entity, const char *key);

struct gi *gpu_instance(const struct gpu *gpu, unsigned id);
bool gpu_in_mig(const struct gpu *gpu);
struct gpu *state_gpu(const struct state *state, const char *uuid);

/* --- handles (handles.c) ----------------------------------------------------------------------------------------- */

enum kind { HANDLE_GPU = 'G', HANDLE_MIG = 'M', HANDLE_GI = 'I', HANDLE_CI = 'C' };

struct handle {
    uint32_t magic;
    enum kind kind;
    char *gpu;       /* the GPU's UUID */
    unsigned slot;   /* MIG: index under the parent; GI: its id; CI: (gi << 16) | ci */
    char *bound;     /* MIG, GI, CI: the MIG UUID that was there when the handle was given out */
    struct handle *next;
};

struct handle *handle_of_gpu(const struct gpu *gpu);
struct handle *handle_of_mig(const struct gpu *gpu, const struct mig *mig);
struct handle *handle_of_gi(const struct gpu *gpu, const struct gi *gi);
struct handle *handle_of_ci(const struct gpu *gpu, const struct mig *mig);
void handles_kill(void);

/* The UUID of the first compute instance of a GPU instance: which incarnation of its id this is. */
const char *gi_incarnation(const struct gpu *gpu, unsigned id);

/* --- the frame of a call (call.c) -------------------------------------------------------------------------------- */

struct call {
    nvml_return code;
    struct state *state;
    struct gpu *gpu; /* what the handle names, where there is one */
    struct mig *mig;
    struct gi *gi;
    const struct entity *at; /* the MIG device, else the GPU */
};

/* Take the lock, which `call_leave` gives back; a refused call has given it back already. `kinds`: handles allowed. */
struct call call_enter(const char *name);
struct call call_enter_on(const char *name, struct handle *handle, const char *kinds);
void call_leave(struct call *call);

/* Give the lock away for a while, for calls that wait; the state may be another one after. */
void call_pause(struct call *call, unsigned microseconds);

#define ENTERED(call, entered) \
    struct call call##_entered = (entered); \
    if (call##_entered.code != NVML_SUCCESS) return call##_entered.code; \
    __attribute__((cleanup(call_leave))) struct call call = call##_entered

/* Open a call; return from the function when it is refused; end it when the function returns. */
#define ENTER(call) ENTERED(call, call_enter(__func__))
#define ENTER_ON(call, handle) ENTERED(call, call_enter_on(__func__, handle, "GM"))
#define ENTER_GI(call, handle) ENTERED(call, call_enter_on(__func__, handle, "I"))
#define ENTER_CI(call, handle) ENTERED(call, call_enter_on(__func__, handle, "C"))

/* For calls that need a whole GPU: what a MIG handle is answered instead. */
#define GPU_ONLY(call, otherwise) \
    if ((call).mig) return (otherwise)

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

int lifetime_inits(void);
bool lifetime_ended(void); /* initialised once and shut down since */

uint64_t clock_us(void);     /* CPU microseconds since 1970 */
uint64_t monotonic_us(void);
nvml_return put_text(char *out, unsigned room, const char *text);

#endif
