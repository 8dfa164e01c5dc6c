/*
 * The catalogue of GPU instance profiles, in its three spellings: by index without a name (v1), with one (V), by id.
 *
 * The versioned calls are refused while MIG mode is off, the old one only on a board without MIG (nvml.h).
 */
#include <stdio.h>
#include <string.h>

#include "fake.h"

static bool has_mig(const struct gpu *gpu) {
    unsigned mode;
    return entity_u32(&gpu->entity, "mig_current", &mode) == NVML_SUCCESS;
}

static const struct profile *by_index(const struct gpu *gpu, unsigned index) {
    for (size_t i = 0; i < gpu->profiles.count; i++)
        if (gpu->profiles.items[i].index == index) return &gpu->profiles.items[i];
    return NULL;
}

static const struct profile *by_id(const struct gpu *gpu, unsigned id) {
    for (size_t i = 0; i < gpu->profiles.count; i++)
        if (gpu->profiles.items[i].id == id) return &gpu->profiles.items[i];
    return NULL;
}

API nvml_return nvmlDeviceGetGpuInstanceProfileInfo(nvml_device device, unsigned index, nvml_gi_profile *out) {
    ENTER_ON(call, device);
    if (call.mig || index >= NVML_PROFILE_COUNT || !out) return NVML_INVALID_ARGUMENT;
    const struct profile *profile = has_mig(call.gpu) ? by_index(call.gpu, index) : NULL;
    if (!profile) return NVML_NOT_SUPPORTED;
    *out = (nvml_gi_profile){.id = profile->id,
                             .slices = profile->slices,
                             .instances = profile->instances,
                             .sm_count = profile->sm_count,
                             .memory_mib = profile->memory_mib};
    memcpy(out->engines, profile->engines, sizeof out->engines);
    return NVML_SUCCESS;
}

/* Version 3 has version 2's size; the two differ in a member that nobody here reads. */
static nvml_return named(const struct call *call, const struct profile *profile, nvml_gi_profile_v2 *out) {
    unsigned version = out->version;
    if (version != NVML_VERSIONED(*out, 2) && version != NVML_VERSIONED(*out, 3)) return NVML_ARGUMENT_VERSION_MISMATCH;
    if (!profile) return NVML_NOT_SUPPORTED;
    *out = (nvml_gi_profile_v2){.version = version,
                                .id = profile->id,
                                .slices = profile->slices,
                                .instances = profile->instances,
                                .sm_count = profile->sm_count,
                                .memory_mib = profile->memory_mib};
    memcpy(out->engines, profile->engines, sizeof out->engines);
    snprintf(out->name, sizeof out->name, "%s%s", entity_text(&call->state->entity, "profile_prefix"), profile->name);
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetGpuInstanceProfileInfoV(nvml_device device, unsigned index, nvml_gi_profile_v2 *out) {
    ENTER_ON(call, device);
    if (call.mig || index >= NVML_PROFILE_COUNT || !out) return NVML_INVALID_ARGUMENT;
    return named(&call, gpu_in_mig(call.gpu) ? by_index(call.gpu, index) : NULL, out);
}

API nvml_return nvmlDeviceGetGpuInstanceProfileInfoByIdV(nvml_device device, unsigned id, nvml_gi_profile_v2 *out) {
    ENTER_ON(call, device);
    if (call.mig || !out) return NVML_INVALID_ARGUMENT;
    return named(&call, gpu_in_mig(call.gpu) ? by_id(call.gpu, id) : NULL, out);
}

/* The full-board profile has 8 memory slices on a 7-slice board, as many as compute slices on others. */
static unsigned memory_slices(const struct gpu *gpu) {
    unsigned most = 0;
    for (size_t i = 0; i < gpu->profiles.count; i++)
        if (gpu->profiles.items[i].slices > most) most = gpu->profiles.items[i].slices;
    return most == 7 ? 8 : most;
}

/* How many more fit by memory slices; privileged. */
API nvml_return nvmlDeviceGetGpuInstanceRemainingCapacity(nvml_device device, unsigned id, unsigned *out) {
    ENTER_ON(call, device);
    if (call.mig || !out) return NVML_INVALID_ARGUMENT;
    if (!gpu_in_mig(call.gpu)) return NVML_NOT_SUPPORTED;
    if (!entity_or(&call.state->entity, "privileged", 1)) return NVML_NO_PERMISSION;
    const struct profile *profile = by_id(call.gpu, id);
    if (!profile) return NVML_NOT_SUPPORTED;
    unsigned left = memory_slices(call.gpu);
    for (size_t i = 0; i < call.gpu->instances.count; i++) {
        unsigned size = (unsigned)entity_or(&call.gpu->instances.items[i].entity, "size", 0);
        left -= size < left ? size : left;
    }
    unsigned fit = left / profile->slices;
    *out = fit < profile->instances ? fit : profile->instances;
    return NVML_SUCCESS;
}
