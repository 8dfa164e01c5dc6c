/*
 * What a device measures: memory, utilisation, clocks, power, temperature, energy.
 *
 * Memory belongs to the GPU instance; clocks, power and temperature to the board. Which call answers on which handle is
 * the header's word where it has one, else what one H100 with driver 535 was reported to answer.
 */
#include <stdio.h>
#include <string.h>

#include "fake.h"

/* Aggregates over MIG instances are for the privileged (nvml.h, nvmlDeviceGetMemoryInfo). */
static nvml_return memory_values(const struct call *call, const char *name, uint64_t values[4]) {
    const struct entity *owner = call->mig ? &call->gi->entity : &call->gpu->entity;
    if (!call->mig && gpu_in_mig(call->gpu) && !entity_or(&call->state->entity, "privileged", 1))
        return NVML_NO_PERMISSION;
    char key[32];
    for (int i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "%s.%d", name, i);
        nvml_return code = entity_u64(owner, key, &values[i]);
        if (code != NVML_SUCCESS) return code;
    }
    return NVML_SUCCESS;
}

static nvml_return memory_v1(const struct call *call, const char *name, nvml_memory *out) {
    uint64_t values[4]; /* total, used, free, reserved */
    nvml_return code = out ? memory_values(call, name, values) : NVML_INVALID_ARGUMENT;
    if (code == NVML_SUCCESS) *out = (nvml_memory){.total = values[0], .free = values[2], .used = values[1] + values[3]};
    return code;
}

API nvml_return nvmlDeviceGetMemoryInfo(nvml_device device, nvml_memory *out) {
    ENTER_ON(call, device);
    return memory_v1(&call, "memory", out);
}

API nvml_return nvmlDeviceGetMemoryInfo_v2(nvml_device device, nvml_memory_v2 *out) {
    ENTER_ON(call, device);
    if (!out) return NVML_INVALID_ARGUMENT;
    if (out->version != NVML_VERSIONED(nvml_memory_v2, 2)) return NVML_ARGUMENT_VERSION_MISMATCH;
    uint64_t values[4];
    nvml_return code = memory_values(&call, "memory", values);
    if (code != NVML_SUCCESS) return code;
    out->total = values[0];
    out->used = values[1];
    out->free = values[2];
    out->reserved = values[3];
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetBAR1MemoryInfo(nvml_device device, nvml_memory *out) {
    ENTER_ON(call, device);
    return memory_v1(&call, "bar1", out);
}

/* Dead in MIG mode, on the parent and on the instance. */
API nvml_return nvmlDeviceGetUtilizationRates(nvml_device device, nvml_utilization *out) {
    ENTER_ON(call, device);
    if (!out) return NVML_INVALID_ARGUMENT;
    if (call.mig || gpu_in_mig(call.gpu)) return NVML_NOT_SUPPORTED;
    nvml_return code = entity_u32(&call.gpu->entity, "utilisation", &out->gpu);
    return code ? code : entity_u32(&call.gpu->entity, "memory_utilisation", &out->memory);
}

/* Graphics follows the SM clock; the video clock is a fixed part of it. */
static nvml_return clock_value(const struct call *call, unsigned type, bool highest, unsigned *out) {
    if (call->mig) return NVML_NOT_SUPPORTED;
    if (type > 3) return NVML_INVALID_ARGUMENT;
    bool memory = type == 2;
    const char *key = memory ? (highest ? "memory_clock_max" : "memory_clock") : (highest ? "sm_clock_max" : "sm_clock");
    nvml_return code = entity_u32(&call->gpu->entity, key, out);
    if (code == NVML_SUCCESS && type == 3) *out = *out * 9 / 10;
    return code;
}

API nvml_return nvmlDeviceGetClockInfo(nvml_device device, unsigned type, unsigned *out) {
    ENTER_ON(call, device);
    return clock_value(&call, type, false, out);
}

API nvml_return nvmlDeviceGetMaxClockInfo(nvml_device device, unsigned type, unsigned *out) {
    ENTER_ON(call, device);
    return clock_value(&call, type, true, out);
}

static nvml_return throttle(const struct call *call, uint64_t *out) {
    return call->mig ? NVML_NOT_SUPPORTED : entity_u64(&call->gpu->entity, "throttle", out);
}

API nvml_return nvmlDeviceGetCurrentClocksEventReasons(nvml_device device, uint64_t *out) {
    ENTER_ON(call, device);
    return throttle(&call, out);
}

API nvml_return nvmlDeviceGetCurrentClocksThrottleReasons(nvml_device device, uint64_t *out) {
    ENTER_ON(call, device);
    return throttle(&call, out);
}

/* All bits but the legacy two, as every real capture prints. */
API nvml_return nvmlDeviceGetSupportedClocksEventReasons(nvml_device device, uint64_t *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = 0x1FF;
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetTemperatureV(nvml_device device, nvml_temperature *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_INVALID_ARGUMENT);
    if (!out || out->sensor != 0) return NVML_INVALID_ARGUMENT;
    if (out->version != NVML_VERSIONED(nvml_temperature, 1)) return NVML_ARGUMENT_VERSION_MISMATCH;
    return entity_u32(&call.gpu->entity, "temperature", (unsigned *)&out->celsius);
}

API nvml_return nvmlDeviceGetTemperature(nvml_device device, unsigned sensor, unsigned *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_INVALID_ARGUMENT);
    return sensor ? NVML_INVALID_ARGUMENT : entity_u32(&call.gpu->entity, "temperature", out);
}

/* Degrees left to the slowdown, which stands at 87 here. */
API nvml_return nvmlDeviceGetMarginTemperature(nvml_device device, nvml_margin_temperature *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_INVALID_ARGUMENT);
    if (!out) return NVML_INVALID_ARGUMENT;
    if (out->version != NVML_VERSIONED(nvml_margin_temperature, 1)) return NVML_ARGUMENT_VERSION_MISMATCH;
    unsigned celsius = 0;
    nvml_return code = entity_u32(&call.gpu->entity, "temperature", &celsius);
    if (code == NVML_SUCCESS) out->celsius = 87 - (int)celsius;
    return code;
}

API nvml_return nvmlDeviceGetPowerUsage(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    return entity_u32(&call.gpu->entity, "power_mw", out);
}

API nvml_return nvmlDeviceGetEnforcedPowerLimit(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    return entity_u32(&call.gpu->entity, "power_limit_mw", out);
}

API nvml_return nvmlDeviceGetPowerManagementLimit(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    return entity_u32(&call.gpu->entity, "power_limit_mw", out);
}

API nvml_return nvmlDeviceGetTotalEnergyConsumption(nvml_device device, uint64_t *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    return entity_u64(&call.gpu->entity, "energy_mj", out);
}
