/*
 * Handles: one for each slot that was ever asked for, checked at every use against what is there now.
 *
 * A MIG handle is a slot of its parent. It stays the same pointer when the slot is filled again, so that a handle kept
 * from before a re-creation names another device as soon as somebody has looked the slot up (nvml.h: handles may be
 * reused with different properties); until then it is invalid. Handles from before a shutdown end the process.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#define ALIVE 0xFA4E0001u
#define DEAD 0xDEAD0001u

static struct handle *handles;

static char *copy(const char *text) {
    char *made = strdup(text);
    if (!made) die("out of memory");
    return made;
}

static struct handle *intern(enum kind kind, const char *gpu, unsigned slot, const char *bound) {
    struct handle *handle = handles;
    while (handle && !(handle->kind == kind && handle->slot == slot && strcmp(handle->gpu, gpu) == 0))
        handle = handle->next;
    if (!handle) {
        handle = calloc(1, sizeof *handle);
        if (!handle) die("out of memory");
        *handle = (struct handle){.magic = ALIVE, .kind = kind, .gpu = copy(gpu), .slot = slot, .next = handles};
        handles = handle;
    }
    /* The old text is left: a call that hangs may still be reading it. */
    if (!handle->bound || strcmp(handle->bound, bound) != 0) handle->bound = copy(bound);
    return handle;
}

struct handle *handle_of_gpu(const struct gpu *gpu) {
    return intern(HANDLE_GPU, gpu->uuid, 0, gpu->uuid);
}

struct handle *handle_of_mig(const struct gpu *gpu, const struct mig *mig) {
    return intern(HANDLE_MIG, gpu->uuid, mig->index, mig->uuid);
}

struct handle *handle_of_gi(const struct gpu *gpu, const struct gi *gi) {
    return intern(HANDLE_GI, gpu->uuid, gi->id, gi_incarnation(gpu, gi->id));
}

struct handle *handle_of_ci(const struct gpu *gpu, const struct mig *mig) {
    return intern(HANDLE_CI, gpu->uuid, mig->gi << 16 | mig->ci, mig->uuid);
}

/* The memory is kept, so that a later use is seen for what it is. */
void handles_kill(void) {
    while (handles) {
        handles->magic = DEAD;
        handles = handles->next;
    }
}

void handle_check(const char *name, const struct handle *handle) {
    if (handle->magic == DEAD) die("%s: a handle from before nvmlShutdown", name);
    if (handle->magic != ALIVE) die("%s: not a handle", name);
}

static struct mig *find_mig(const struct gpu *gpu, const struct handle *handle) {
    for (size_t i = 0; i < gpu->migs.count; i++) {
        struct mig *mig = &gpu->migs.items[i];
        unsigned slot = handle->kind == HANDLE_CI ? mig->gi << 16 | mig->ci : mig->index;
        if (slot == handle->slot && strcmp(mig->uuid, handle->bound) == 0) return mig;
    }
    return NULL;
}

static nvml_return resolve_instance(struct call *call, const struct handle *handle) {
    if (!gpu_in_mig(call->gpu)) return NVML_INVALID_ARGUMENT;
    if (handle->kind == HANDLE_GI) {
        call->gi = gpu_instance(call->gpu, handle->slot);
        bool same = call->gi && strcmp(gi_incarnation(call->gpu, handle->slot), handle->bound) == 0;
        return same ? NVML_SUCCESS : NVML_INVALID_ARGUMENT;
    }
    call->mig = find_mig(call->gpu, handle);
    if (!call->mig) return NVML_INVALID_ARGUMENT;
    call->gi = gpu_instance(call->gpu, call->mig->gi);
    return call->gi ? NVML_SUCCESS : NVML_INVALID_ARGUMENT;
}

/* What a board that needs a reset still answers: its name plates. */
static bool names_only(const char *name) {
    static const char *const calls[] = {"nvmlDeviceGetUUID",         "nvmlDeviceGetName",
                                        "nvmlDeviceGetIndex",        "nvmlDeviceGetMinorNumber",
                                        "nvmlDeviceGetPciInfo_v3",   "nvmlDeviceIsMigDeviceHandle",
                                        "nvmlDeviceGetArchitecture"};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(name, calls[i]) == 0) return true;
    return false;
}

nvml_return handle_resolve(struct call *call, const char *name, const struct handle *handle) {
    call->gpu = state_gpu(call->state, handle->gpu);
    if (!call->gpu) return NVML_GPU_IS_LOST;
    uint64_t lost = entity_or(&call->gpu->entity, "lost", 0);
    if (lost && !(lost == NVML_RESET_REQUIRED && names_only(name))) return (nvml_return)lost;
    call->at = &call->gpu->entity;
    if (handle->kind == HANDLE_GPU) return NVML_SUCCESS;
    nvml_return code = resolve_instance(call, handle);
    if (call->mig) call->at = &call->mig->entity;
    return code;
}
