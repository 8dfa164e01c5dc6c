/*
 * The frame of a call from the inside, for the few parts that enter in a way of their own.
 */
#ifndef FAKE_NVML_FRAME_H
#define FAKE_NVML_FRAME_H

#include "fake.h"

/* Whom a fault may name. `named_only`: faults of any device have been applied already. */
struct target {
    const char *device, *parent;
    bool named_only;
};

/* Count the call and take the lock; `call_leave` gives it back. */
void call_begin(const char *name);

/* Apply delays, hangs and codes; the state in `call` may be another one after. */
nvml_return call_faults(struct call *call, const char *name, const struct target *target);

/*
 * Apply the faults that name one more device: one that the arguments lead to and no handle names. With a handle, what it
 * names is found anew, because the state may have changed meanwhile.
 */
nvml_return call_faults_of(struct call *call, const char *name, const char *device, const struct handle *handle);

/* End the process when the pointer is no living handle. */
void handle_check(const char *name, const struct handle *handle);

/* Find what the handle names now. */
nvml_return handle_resolve(struct call *call, const char *name, const struct handle *handle);

#endif
