/*
 * Who runs on a device: the three process lists, the detail list, and the utilisation samples.
 *
 * The lists of a parent in MIG mode hold the processes of all its instances, with their ids, for the privileged.
 */
#include <string.h>

#include "fake.h"

#define SAMPLE_AGE_US 50000u

struct row {
    const struct process *process;
    unsigned gi, ci;
};

struct rows {
    struct row *items;
    size_t room, count;
    char kind; /* of the processes wanted; 0: all */
};

static void take(struct rows *rows, const struct entity *entity, unsigned gi, unsigned ci) {
    for (size_t i = 0; i < entity->processes.count; i++) {
        const struct process *process = &entity->processes.items[i];
        if (rows->kind && process->kind != rows->kind) continue;
        if (rows->count < rows->room) rows->items[rows->count] = (struct row){process, gi, ci};
        rows->count++;
    }
}

static nvml_return refused(const struct entity *entity) {
    const struct value *value = entity_value(entity, "processes");
    return value ? (nvml_return)value->code : NVML_SUCCESS;
}

/* Fill what there is room for; `count` says how many there are. */
static nvml_return collect(const struct call *call, struct rows *rows) {
    nvml_return code = refused(call->at);
    if (code != NVML_SUCCESS) return code;
    if (call->mig) {
        take(rows, call->at, call->mig->gi, call->mig->ci);
        return NVML_SUCCESS;
    }
    bool mig = gpu_in_mig(call->gpu);
    if (mig && !entity_or(&call->state->entity, "privileged", 1)) return NVML_NO_PERMISSION;
    take(rows, call->at, NVML_WHOLE_GPU, NVML_WHOLE_GPU);
    for (size_t i = 0; mig && i < call->gpu->migs.count; i++) {
        const struct mig *device = &call->gpu->migs.items[i];
        take(rows, &device->entity, device->gi, device->ci);
    }
    return NVML_SUCCESS;
}

static uint64_t memory_of(const struct process *process) {
    return process->has_memory ? process->memory : NVML_NOT_AVAILABLE_U64;
}

static nvml_return list(const struct call *call, char kind, unsigned *count, nvml_process_info *out) {
    if (!count || (*count && !out)) return NVML_INVALID_ARGUMENT;
    struct row found[*count + 1];
    struct rows rows = {.items = found, .room = *count, .kind = kind};
    nvml_return code = collect(call, &rows);
    if (code != NVML_SUCCESS) return code;
    unsigned room = *count;
    *count = (unsigned)rows.count;
    if (rows.count > room) return NVML_INSUFFICIENT_SIZE;
    for (size_t i = 0; i < rows.count; i++)
        out[i] = (nvml_process_info){.pid = found[i].process->pid,
                                     .memory = memory_of(found[i].process),
                                     .gi = found[i].gi,
                                     .ci = found[i].ci};
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetComputeRunningProcesses_v3(nvml_device device, unsigned *count, nvml_process_info *out) {
    ENTER_ON(call, device);
    return list(&call, 'c', count, out);
}

API nvml_return nvmlDeviceGetGraphicsRunningProcesses_v3(nvml_device device, unsigned *count, nvml_process_info *out) {
    ENTER_ON(call, device);
    return list(&call, 'g', count, out);
}

API nvml_return nvmlDeviceGetMPSComputeRunningProcesses_v3(nvml_device device, unsigned *count,
                                                           nvml_process_info *out) {
    ENTER_ON(call, device);
    return list(&call, 'm', count, out);
}

API nvml_return nvmlDeviceGetRunningProcessDetailList(nvml_device device, nvml_process_detail_list *out) {
    ENTER_ON(call, device);
    if (!out || out->mode > 2) return NVML_INVALID_ARGUMENT;
    if (out->version != NVML_VERSIONED(*out, 1)) return NVML_ARGUMENT_VERSION_MISMATCH;
    unsigned room = out->items ? out->count : 0;
    struct row found[room + 1];
    struct rows rows = {.items = found, .room = room, .kind = "cgm"[out->mode]};
    nvml_return code = collect(&call, &rows);
    if (code != NVML_SUCCESS) return code;
    out->count = (unsigned)rows.count;
    if (rows.count > room) return NVML_INSUFFICIENT_SIZE;
    for (size_t i = 0; i < rows.count; i++)
        out->items[i] = (nvml_process_detail){.pid = found[i].process->pid,
                                              .memory = memory_of(found[i].process),
                                              .gi = found[i].gi,
                                              .ci = found[i].ci,
                                              .protected_memory = 0};
    return NVML_SUCCESS;
}

/* --- utilisation samples: whole GPUs outside MIG only ------------------------------------------------------------ */

static uint64_t time_of(const struct process *process, uint64_t now) {
    return process->stamped ? process->timestamp : now - SAMPLE_AGE_US;
}

/* The driver samples only who was not idle in its last period, and a caller sees what is newer than its time stamp. */
static bool sampled(const struct process *process, uint64_t since, uint64_t now) {
    return (process->sm || process->mem) && time_of(process, now) > since;
}

static unsigned sample_count(const struct gpu *gpu, uint64_t since, uint64_t now) {
    unsigned count = 0;
    for (size_t i = 0; i < gpu->entity.processes.count; i++)
        count += sampled(&gpu->entity.processes.items[i], since, now);
    return count;
}

/* In MIG mode the size call is answered and the fetch refused: to an instance for its arguments. */
API nvml_return nvmlDeviceGetProcessUtilization(nvml_device device, nvml_process_sample *out, unsigned *count,
                                                uint64_t since) {
    ENTER_ON(call, device);
    if (!count) return NVML_INVALID_ARGUMENT;
    if (call.mig || gpu_in_mig(call.gpu)) {
        if (out) return call.mig ? NVML_INVALID_ARGUMENT : NVML_NOT_SUPPORTED;
        *count = 100;
        return NVML_INSUFFICIENT_SIZE;
    }
    uint64_t now = clock_us();
    unsigned room = *count;
    *count = sample_count(call.gpu, since, now);
    if (*count == 0) return NVML_NOT_FOUND;
    if (!out || *count > room) return NVML_INSUFFICIENT_SIZE;
    for (size_t i = 0; i < call.gpu->entity.processes.count; i++) {
        const struct process *process = &call.gpu->entity.processes.items[i];
        if (sampled(process, since, now))
            *out++ = (nvml_process_sample){
                .pid = process->pid, .timestamp = time_of(process, now), .sm = process->sm, .mem = process->mem};
    }
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetProcessesUtilizationInfo(nvml_device device, nvml_process_use_list *list_out) {
    ENTER_ON(call, device);
    if (!list_out) return NVML_INVALID_ARGUMENT;
    if (list_out->version != NVML_VERSIONED(*list_out, 1)) return NVML_ARGUMENT_VERSION_MISMATCH;
    if (call.mig || gpu_in_mig(call.gpu)) return NVML_NOT_SUPPORTED;
    uint64_t now = clock_us(), since = list_out->last_seen;
    unsigned room = list_out->items ? list_out->count : 0;
    list_out->count = sample_count(call.gpu, since, now);
    if (list_out->count == 0) return NVML_NOT_FOUND;
    if (list_out->count > room) return NVML_INSUFFICIENT_SIZE;
    nvml_process_use *out = list_out->items;
    for (size_t i = 0; i < call.gpu->entity.processes.count; i++) {
        const struct process *process = &call.gpu->entity.processes.items[i];
        if (sampled(process, since, now))
            *out++ = (nvml_process_use){
                .pid = process->pid, .timestamp = time_of(process, now), .sm = process->sm, .mem = process->mem};
    }
    return NVML_SUCCESS;
}
