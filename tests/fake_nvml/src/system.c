/*
 * The library as such: init and shutdown, versions, and how a GPU is looked up.
 */
#include <string.h>

#include "fake.h"
#include "frame.h"

static int inits;
static bool was_up;

int lifetime_inits(void) {
    return inits;
}

bool lifetime_ended(void) {
    return was_up && inits == 0;
}

API nvml_return nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    call_begin(__func__);
    __attribute__((cleanup(call_leave))) struct call call = {.state = state_now()};
    if (!call.state) return NVML_DRIVER_NOT_LOADED;
    nvml_return code = call_faults(&call, __func__, &(struct target){0});
    if (code == NVML_SUCCESS && call.state) code = (nvml_return)entity_or(&call.state->entity, "init", 0);
    if (code != NVML_SUCCESS) return code;
    inits++;
    was_up = true;
    return NVML_SUCCESS;
}

API nvml_return nvmlInit_v2(void) {
    return nvmlInitWithFlags(0);
}

API nvml_return nvmlShutdown(void) {
    call_begin(__func__);
    __attribute__((cleanup(call_leave))) struct call call = {.state = state_now()};
    if (inits == 0) return NVML_UNINITIALIZED;
    if (call.state) {
        nvml_return code = call_faults(&call, __func__, &(struct target){0});
        if (code != NVML_SUCCESS) return code;
    }
    if (--inits == 0) handles_kill();
    return NVML_SUCCESS;
}

/* Inits that no shutdown has answered. */
API long fake_nvml_live_inits(void) {
    return inits;
}

API const char *nvmlErrorString(nvml_return code) {
    static const struct {
        int code;
        const char *text;
    } texts[] = {{0, "Success"},          {1, "Uninitialized"},       {2, "Invalid Argument"},
                 {3, "Not Supported"},    {4, "Insufficient Permissions"}, {6, "Not Found"},
                 {7, "Insufficient Size"}, {9, "Driver Not Loaded"},   {10, "Timeout"},
                 {13, "Function Not Found"}, {15, "GPU is lost"},      {16, "GPU requires reset"},
                 {18, "Driver/library version mismatch"}, {25, "Argument version mismatch"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].code == (int)code) return texts[i].text;
    return "Unknown Error";
}

API nvml_return nvmlSystemGetDriverVersion(char *out, unsigned room) {
    ENTER(call);
    return put_text(out, room, entity_text(&call.state->entity, "driver"));
}

API nvml_return nvmlSystemGetNVMLVersion(char *out, unsigned room) {
    ENTER(call);
    return put_text(out, room, entity_text(&call.state->entity, "nvml"));
}

API nvml_return nvmlSystemGetCudaDriverVersion_v2(int *out) {
    ENTER(call);
    return entity_u32(&call.state->entity, "cuda", (unsigned *)out);
}

API nvml_return nvmlSystemGetCudaDriverVersion(int *out) {
    return nvmlSystemGetCudaDriverVersion_v2(out);
}

API nvml_return nvmlDeviceGetCount_v2(unsigned *out) {
    ENTER(call);
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = (unsigned)call.state->gpus.count;
    return NVML_SUCCESS;
}

/* A board off the bus cannot be looked up; one that waits for a reset can (nvmlDeviceGetHandleByIndex_v2). */
static nvml_return found_gpu(struct call *call, const char *name, const char *uuid, nvml_device *out) {
    struct handle *handle = handle_of_gpu(state_gpu(call->state, uuid));
    nvml_return code = call_faults_of(call, name, handle->gpu, NULL);
    if (code != NVML_SUCCESS) return code;
    const struct gpu *gpu = state_gpu(call->state, handle->gpu);
    if (!gpu || entity_or(&gpu->entity, "lost", 0) == NVML_GPU_IS_LOST) return NVML_GPU_IS_LOST;
    *out = handle;
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetHandleByIndex_v2(unsigned index, nvml_device *out) {
    ENTER(call);
    if (!out || index >= call.state->gpus.count) return NVML_INVALID_ARGUMENT;
    return found_gpu(&call, __func__, call.state->gpus.items[index].uuid, out);
}

static nvml_return found_mig(const struct gpu *gpu, const char *uuid, nvml_device *out) {
    for (size_t i = 0; i < gpu->migs.count; i++) {
        if (strcmp(gpu->migs.items[i].uuid, uuid) == 0) {
            *out = handle_of_mig(gpu, &gpu->migs.items[i]);
            return NVML_SUCCESS;
        }
    }
    return NVML_NOT_FOUND;
}

API nvml_return nvmlDeviceGetHandleByUUID(const char *uuid, nvml_device *out) {
    ENTER(call);
    if (!uuid || !out) return NVML_INVALID_ARGUMENT;
    if (state_gpu(call.state, uuid)) return found_gpu(&call, __func__, uuid, out);
    for (size_t i = 0; i < call.state->gpus.count; i++) {
        const struct gpu *gpu = &call.state->gpus.items[i];
        if (gpu_in_mig(gpu) && found_mig(gpu, uuid, out) == NVML_SUCCESS) return NVML_SUCCESS;
    }
    return NVML_NOT_FOUND;
}
