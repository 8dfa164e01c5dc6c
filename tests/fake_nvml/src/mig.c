/*
 * MIG devices and their GPU instances: how they are found, and what they are made of.
 */
#include <stdio.h>
#include <string.h>

#include "fake.h"

static bool privileged(const struct call *call) {
    return entity_or(&call->state->entity, "privileged", 1) != 0;
}

API nvml_return nvmlDeviceGetMigMode(nvml_device device, unsigned *current, unsigned *pending) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    nvml_return code = entity_u32(&call.gpu->entity, "mig_current", current);
    return code ? code : entity_u32(&call.gpu->entity, "mig_pending", pending);
}

/* 0 when MIG is off or unknown to the board (nvml.h). */
API nvml_return nvmlDeviceGetMaxMigDeviceCount(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_INVALID_ARGUMENT);
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = gpu_in_mig(call.gpu) ? (unsigned)entity_or(&call.gpu->entity, "max_mig_devices", 7) : 0;
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetMigDeviceHandleByIndex(nvml_device device, unsigned index, nvml_device *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_INVALID_ARGUMENT);
    if (!out) return NVML_INVALID_ARGUMENT;
    if (!gpu_in_mig(call.gpu)) return NVML_NOT_SUPPORTED;
    if (index >= entity_or(&call.gpu->entity, "max_mig_devices", 7)) return NVML_INVALID_ARGUMENT;
    for (size_t i = 0; i < call.gpu->migs.count; i++) {
        if (call.gpu->migs.items[i].index == index) {
            *out = handle_of_mig(call.gpu, &call.gpu->migs.items[i]);
            return NVML_SUCCESS;
        }
    }
    return NVML_NOT_FOUND;
}

API nvml_return nvmlDeviceIsMigDeviceHandle(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = call.mig != NULL;
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvml_device device, nvml_device *out) {
    ENTER_ON(call, device);
    if (!call.mig || !out) return NVML_INVALID_ARGUMENT;
    *out = handle_of_gpu(call.gpu);
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetGpuInstanceId(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    if (!call.mig) return NVML_NOT_SUPPORTED;
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = call.mig->gi;
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetComputeInstanceId(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    if (!call.mig) return NVML_NOT_SUPPORTED;
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = call.mig->ci;
    return NVML_SUCCESS;
}

/* SMs are the compute instance's; engines and memory the GPU instance's. */
API nvml_return nvmlDeviceGetAttributes_v2(nvml_device device, nvml_attributes *out) {
    ENTER_ON(call, device);
    if (!call.mig) return NVML_NOT_SUPPORTED;
    if (!out) return NVML_INVALID_ARGUMENT;
    const struct entity *entity = &call.mig->entity;
    memset(out, 0, sizeof *out);
    nvml_return code = entity_u32(entity, "sm_count", &out->sm_count);
    if (code == NVML_SUCCESS) code = entity_u64(entity, "memory_mib", &out->memory_mib);
    if (code != NVML_SUCCESS) return code;
    char key[16];
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "engines.%d", i);
        out->engines[i] = (unsigned)entity_or(entity, key, 0);
    }
    out->gi_slices = (unsigned)entity_or(entity, "gi_slices", 0);
    out->ci_slices = (unsigned)entity_or(entity, "ci_slices", 0);
    return NVML_SUCCESS;
}

/* --- the instances behind the handles: for the privileged (nvml.h) ----------------------------------------------- */

static nvml_return instances_open(const struct call *call) {
    if (call->mig) return NVML_INVALID_ARGUMENT;
    if (!gpu_in_mig(call->gpu)) return NVML_NOT_SUPPORTED;
    return privileged(call) ? NVML_SUCCESS : NVML_NO_PERMISSION;
}

API nvml_return nvmlDeviceGetGpuInstanceById(nvml_device device, unsigned id, nvml_gpu_instance *out) {
    ENTER_ON(call, device);
    nvml_return code = instances_open(&call);
    if (code != NVML_SUCCESS) return code;
    const struct gi *gi = gpu_instance(call.gpu, id);
    if (!gi) return NVML_NOT_FOUND;
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = handle_of_gi(call.gpu, gi);
    return NVML_SUCCESS;
}

/* The caller brings the array and must size it from the profile's instance count. */
API nvml_return nvmlDeviceGetGpuInstances(nvml_device device, unsigned profile, nvml_gpu_instance *out, unsigned *count) {
    ENTER_ON(call, device);
    nvml_return code = instances_open(&call);
    if (code != NVML_SUCCESS) return code;
    if (!out || !count) return NVML_INVALID_ARGUMENT;
    *count = 0;
    for (size_t i = 0; i < call.gpu->instances.count; i++) {
        const struct gi *gi = &call.gpu->instances.items[i];
        if (entity_or(&gi->entity, "profile_id", 0) == profile) out[(*count)++] = handle_of_gi(call.gpu, gi);
    }
    return NVML_SUCCESS;
}

static nvml_placement placement(const struct entity *entity) {
    return (nvml_placement){.start = (unsigned)entity_or(entity, "start", 0),
                            .size = (unsigned)entity_or(entity, "size", 0)};
}

API nvml_return nvmlGpuInstanceGetInfo(nvml_gpu_instance instance, nvml_gi_info *out) {
    ENTER_GI(call, instance);
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = (nvml_gi_info){.device = handle_of_gpu(call.gpu),
                          .id = call.gi->id,
                          .profile_id = (unsigned)entity_or(&call.gi->entity, "profile_id", 0),
                          .placement = placement(&call.gi->entity)};
    return NVML_SUCCESS;
}

API nvml_return nvmlGpuInstanceGetComputeInstanceById(nvml_gpu_instance instance, unsigned id,
                                                      nvml_compute_instance *out) {
    ENTER_GI(call, instance);
    if (!privileged(&call)) return NVML_NO_PERMISSION;
    if (!out) return NVML_INVALID_ARGUMENT;
    for (size_t i = 0; i < call.gpu->migs.count; i++) {
        const struct mig *mig = &call.gpu->migs.items[i];
        if (mig->gi == call.gi->id && mig->ci == id) {
            *out = handle_of_ci(call.gpu, mig);
            return NVML_SUCCESS;
        }
    }
    return NVML_NOT_FOUND;
}

/* Compute slices before this instance in its GPU instance. */
static unsigned compute_start(const struct gpu *gpu, const struct mig *mig) {
    unsigned start = 0;
    for (size_t i = 0; i < gpu->migs.count; i++) {
        const struct mig *other = &gpu->migs.items[i];
        if (other->gi == mig->gi && other->ci < mig->ci) start += (unsigned)entity_or(&other->entity, "ci_slices", 1);
    }
    return start;
}

API nvml_return nvmlComputeInstanceGetInfo_v2(nvml_compute_instance instance, nvml_ci_info *out) {
    ENTER_CI(call, instance);
    if (!out) return NVML_INVALID_ARGUMENT;
    unsigned slices = (unsigned)entity_or(&call.mig->entity, "ci_slices", 1);
    *out = (nvml_ci_info){.device = handle_of_gpu(call.gpu),
                          .gi = handle_of_gi(call.gpu, call.gi),
                          .id = call.mig->ci,
                          .profile_id = slices > 4 ? 4 : slices - 1,
                          .placement = {.start = compute_start(call.gpu, call.mig), .size = slices}};
    return NVML_SUCCESS;
}
