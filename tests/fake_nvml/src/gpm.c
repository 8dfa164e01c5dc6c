/*
 * GPM: samples of an entity at a time, and metrics between two of them.
 *
 * A sample knows its GPU and its GPU instance's id, not which incarnation of that id it saw: metrics across a
 * re-creation come out as a plausible wrong number, MIXED, as they would on hardware. What is used after it was freed,
 * or after shutdown, ends the process.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "frame.h"

#define ALIVE 0x6B0A11FEu
#define FREED 0x6B0DEAD0u
#define DEVICE 0xFFFFFFFEu /* a sample of a device handle, not of a GPU instance of it */
#define MIXED 42.0

struct gpm_sample {
    uint32_t magic;
    char *gpu;
    char *device; /* of a device's sample: its UUID; of a GPU instance's: which incarnation */
    unsigned gi;
    uint64_t taken_us; /* 0: never filled */
    struct metric *metrics;
    size_t count;
};

static long live;

/* Samples allocated and not freed. */
API long fake_nvml_live_samples(void) {
    return live;
}

static void check(const char *name, const struct gpm_sample *sample) {
    if (!sample) return;
    if (sample->magic == FREED) die("%s: a GPM sample that was freed", name);
    if (sample->magic != ALIVE) die("%s: not a GPM sample", name);
}

static nvml_return whole_board(const struct call *call) {
    return entity_or(&call->gpu->entity, "gpm_supported", 0) ? NVML_SUCCESS : NVML_NOT_SUPPORTED;
}

API nvml_return nvmlGpmQueryDeviceSupport(nvml_device device, nvml_gpm_support *out) {
    ENTER_ON(call, device);
    if (!out) return NVML_INVALID_ARGUMENT;
    if (out->version != 1) return NVML_ARGUMENT_VERSION_MISMATCH;
    out->supported = entity_or(&call.gpu->entity, "gpm_supported", 0) != 0;
    return NVML_SUCCESS;
}

API nvml_return nvmlGpmQueryIfStreamingEnabled(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_INVALID_ARGUMENT);
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = 0;
    return whole_board(&call);
}

API nvml_return nvmlGpmSampleAlloc(nvml_gpm_sample *out) {
    ENTER(call);
    if (!out) return NVML_INVALID_ARGUMENT;
    struct gpm_sample *sample = calloc(1, sizeof *sample);
    if (!sample) return NVML_MEMORY;
    sample->magic = ALIVE;
    live++;
    *out = sample;
    return NVML_SUCCESS;
}

static void empty(struct gpm_sample *sample) {
    free(sample->gpu);
    free(sample->device);
    free(sample->metrics);
    *sample = (struct gpm_sample){.magic = sample->magic};
}

/* The block itself is kept, so that a later use is seen for what it is. */
API nvml_return nvmlGpmSampleFree(nvml_gpm_sample sample) {
    ENTER(call);
    if (!sample) return NVML_INVALID_ARGUMENT;
    check(__func__, sample);
    empty(sample);
    sample->magic = FREED;
    live--;
    return NVML_SUCCESS;
}

static void fill(struct gpm_sample *sample, const struct gpu *gpu, unsigned gi, const char *device,
                 const struct entity *from) {
    empty(sample);
    sample->gpu = strdup(gpu->uuid);
    sample->device = strdup(device);
    sample->gi = gi;
    sample->taken_us = monotonic_us();
    sample->count = from->metrics.count;
    sample->metrics = malloc((sample->count + 1) * sizeof *sample->metrics);
    if (!sample->gpu || !sample->device || !sample->metrics) die("out of memory");
    if (sample->count) memcpy(sample->metrics, from->metrics.items, sample->count * sizeof *sample->metrics);
}

API nvml_return nvmlGpmSampleGet(nvml_device device, nvml_gpm_sample sample) {
    ENTER_ON(call, device);
    if (!sample) return NVML_INVALID_ARGUMENT;
    check(__func__, sample);
    nvml_return code = whole_board(&call);
    if (code != NVML_SUCCESS) return code;
    if (call.mig && !entity_or(&call.state->entity, "gpm_on_mig_handles", 1)) return NVML_INVALID_ARGUMENT;
    const struct entity *from = call.at;
    if (call.mig && !from->metrics.count) from = &call.gi->entity;
    fill(sample, call.gpu, DEVICE, call.mig ? call.mig->uuid : call.gpu->uuid, from);
    return NVML_SUCCESS;
}

API nvml_return nvmlGpmMigSampleGet(nvml_device device, unsigned gi_id, nvml_gpm_sample sample) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_INVALID_ARGUMENT);
    if (!sample) return NVML_INVALID_ARGUMENT;
    check(__func__, sample);
    nvml_return code = whole_board(&call);
    if (code != NVML_SUCCESS) return code;
    if (!gpu_in_mig(call.gpu)) return NVML_NOT_SUPPORTED;
    code = call_faults_of(&call, __func__, gi_incarnation(call.gpu, gi_id), device);
    if (code != NVML_SUCCESS) return code;
    const struct gi *gi = gpu_instance(call.gpu, gi_id);
    if (!gi) return NVML_INVALID_ARGUMENT;
    fill(sample, call.gpu, gi_id, gi_incarnation(call.gpu, gi_id), &gi->entity);
    return NVML_SUCCESS;
}

static bool comparable(const struct gpm_sample *older, const struct gpm_sample *newer, uint64_t window_us) {
    if (!older->taken_us || !newer->taken_us || newer->taken_us < older->taken_us + window_us) return false;
    if (strcmp(older->gpu, newer->gpu) != 0 || older->gi != newer->gi) return false;
    return older->gi != DEVICE || strcmp(older->device, newer->device) == 0;
}

static void answer(nvml_gpm_metric *metric, const struct gpm_sample *older, const struct gpm_sample *newer) {
    metric->short_name = "fake";
    metric->long_name = "a metric of the fake driver";
    metric->unit = "%";
    metric->value = 0;
    metric->code = NVML_NOT_SUPPORTED;
    for (size_t i = 0; i < newer->count; i++) {
        if (newer->metrics[i].id != metric->id) continue;
        bool same = strcmp(older->device, newer->device) == 0;
        metric->code = newer->metrics[i].code;
        metric->value = same ? newer->metrics[i].value : MIXED;
    }
}

/* The values are those that held when the newer sample was taken. */
API nvml_return nvmlGpmMetricsGet(nvml_gpm_metrics *out) {
    ENTER(call);
    if (!out || !out->first || !out->second) return NVML_INVALID_ARGUMENT;
    if (out->version != 1) return NVML_ARGUMENT_VERSION_MISMATCH;
    check(__func__, out->first);
    check(__func__, out->second);
    uint64_t window_us = entity_or(&call.state->entity, "gpm_window_us", 100000);
    if (!comparable(out->first, out->second, window_us)) return NVML_INVALID_ARGUMENT;
    for (unsigned i = 0; i < out->count; i++) answer(&out->metrics[i], out->first, out->second);
    return NVML_SUCCESS;
}
