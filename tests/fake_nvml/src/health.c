/*
 * ECC, row remapping and the field values: the board's health, and the batch call.
 */
#include <stdio.h>
#include <string.h>

#include "fake.h"

#define DRAM 2
#define SRAM 7

API nvml_return nvmlDeviceGetEccMode(nvml_device device, unsigned *current, unsigned *pending) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    nvml_return code = entity_u32(&call.gpu->entity, "ecc_mode", current);
    return code ? code : entity_u32(&call.gpu->entity, "ecc_mode", pending);
}

static nvml_return ecc_total(const struct gpu *gpu, unsigned type, uint64_t *out) {
    if (!entity_or(&gpu->entity, "ecc_mode", 0)) return NVML_NOT_SUPPORTED;
    return entity_u64(&gpu->entity, type ? "ecc_uncorrected" : "ecc_corrected", out);
}

/* Aggregate counts are the volatile ones here: nothing was counted before the driver was loaded. */
API nvml_return nvmlDeviceGetTotalEccErrors(nvml_device device, unsigned type, unsigned counter, uint64_t *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    if (type > 1 || counter > 1 || !out) return NVML_INVALID_ARGUMENT;
    return ecc_total(call.gpu, type, out);
}

/*
 * On an instance only uncorrected volatile counts outside DRAM; on a parent in MIG mode no volatile ones (nvml.h). The
 * SRAM counts are parts of the totals, the rest is DRAM's.
 */
API nvml_return nvmlDeviceGetMemoryErrorCounter(nvml_device device, unsigned type, unsigned counter, unsigned location,
                                                uint64_t *out) {
    ENTER_ON(call, device);
    if (type > 1 || counter > 1 || location > SRAM || !out) return NVML_INVALID_ARGUMENT;
    if (call.mig) {
        bool counted = type == 1 && counter == 0 && location == SRAM;
        return counted ? entity_u64(&call.mig->entity, "ecc_uncorrected_sram", out) : NVML_NOT_SUPPORTED;
    }
    if (gpu_in_mig(call.gpu) && counter == 0) return NVML_NOT_SUPPORTED;
    if (location != DRAM && location != SRAM) return NVML_NOT_SUPPORTED;
    uint64_t total = 0;
    nvml_return code = ecc_total(call.gpu, type, &total);
    uint64_t sram = entity_or(&call.gpu->entity, type ? "ecc_uncorrected_sram" : "ecc_corrected_sram", 0);
    if (code == NVML_SUCCESS) *out = location == SRAM ? sram : total - sram;
    return code;
}

API nvml_return nvmlDeviceGetSramEccErrorStatus(nvml_device device, nvml_sram_ecc *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    if (!out) return NVML_INVALID_ARGUMENT;
    if (out->version != NVML_VERSIONED(nvml_sram_ecc, 1)) return NVML_ARGUMENT_VERSION_MISMATCH;
    *out = (nvml_sram_ecc){.version = out->version};
    out->volatile_corrected = entity_or(&call.gpu->entity, "ecc_corrected_sram", 0);
    out->volatile_secded = entity_or(&call.gpu->entity, "ecc_uncorrected_sram", 0);
    out->aggregate_corrected = out->volatile_corrected;
    out->aggregate_secded = out->volatile_secded;
    return NVML_SUCCESS;
}

/* Refused while instances exist; the histogram is not (captures of H100 and H200 in MIG mode). */
API nvml_return nvmlDeviceGetRemappedRows(nvml_device device, unsigned *corrected, unsigned *uncorrected,
                                          unsigned *pending, unsigned *failure) {
    ENTER_ON(call, device);
    if (call.mig || (gpu_in_mig(call.gpu) && call.gpu->instances.count)) return NVML_NOT_SUPPORTED;
    unsigned *out[] = {corrected, uncorrected, pending, failure};
    char key[32];
    for (int i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "remapped_rows.%d", i);
        nvml_return code = entity_u32(&call.gpu->entity, key, out[i]);
        if (code != NVML_SUCCESS) return code;
    }
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetRowRemapperHistogram(nvml_device device, nvml_row_histogram *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = (nvml_row_histogram){.max = 2560};
    return NVML_SUCCESS;
}

/* nvmlValueType_t: 1 unsigned int, 3 unsigned long long. */
static const struct field {
    unsigned id, type;
    const char *key;
} fields[] = {
    {1, 1, "ecc_mode"},          {2, 1, "ecc_mode"},          {3, 3, "ecc_corrected"},
    {4, 3, "ecc_uncorrected"},   {5, 3, "ecc_corrected"},     {6, 3, "ecc_uncorrected"},
    {83, 3, "energy_mj"},        {142, 1, "remapped_rows.0"}, {143, 1, "remapped_rows.1"},
    {144, 1, "remapped_rows.2"}, {145, 1, "remapped_rows.3"}, {185, 1, "power_mw"},
    {186, 1, "power_mw"},        {190, 1, "power_limit_mw"},
};

static void fill_field(const struct gpu *gpu, nvml_field_value *item) {
    char own[32];
    snprintf(own, sizeof own, "field.%u", item->field);
    const char *key = own;
    item->type = 3;
    for (size_t i = 0; !entity_value(&gpu->entity, own) && i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].id == item->field) {
            key = fields[i].key;
            item->type = fields[i].type;
        }
    }
    uint64_t wide = 0;
    item->code = (int)entity_u64(&gpu->entity, key, &wide);
    item->timestamp = (int64_t)clock_us();
    item->latency_us = 1;
    item->value = (nvml_value){.u64 = 0};
    if (item->type == 1)
        item->value.u32 = (unsigned)wide;
    else
        item->value.u64 = wide;
}

/* The call succeeds even when every single field is refused: each has a return code of its own. */
API nvml_return nvmlDeviceGetFieldValues(nvml_device device, int count, nvml_field_value *items) {
    ENTER_ON(call, device);
    if (count <= 0 || !items) return NVML_INVALID_ARGUMENT;
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    for (int i = 0; i < count; i++) fill_field(call.gpu, &items[i]);
    return NVML_SUCCESS;
}
