/*
 * Questions to the parsed state: values by key, metrics by number, devices by UUID.
 */
#include <string.h>

#include "fake.h"

const struct value *entity_value(const struct entity *entity, const char *key) {
    for (size_t i = 0; i < entity->values.count; i++)
        if (strcmp(entity->values.items[i].key, key) == 0) return &entity->values.items[i];
    return NULL;
}

const struct metric *entity_metric(const struct entity *entity, unsigned id) {
    for (size_t i = 0; i < entity->metrics.count; i++)
        if (entity->metrics.items[i].id == id) return &entity->metrics.items[i];
    return NULL;
}

nvml_return entity_u64(const struct entity *entity, const char *key, uint64_t *out) {
    if (!out) return NVML_INVALID_ARGUMENT;
    const struct value *value = entity_value(entity, key);
    if (!value) return NVML_NOT_SUPPORTED;
    if (value->code) return (nvml_return)value->code;
    *out = value->number;
    return NVML_SUCCESS;
}

nvml_return entity_u32(const struct entity *entity, const char *key, unsigned *out) {
    uint64_t wide = 0;
    nvml_return code = out ? entity_u64(entity, key, &wide) : NVML_INVALID_ARGUMENT;
    if (code == NVML_SUCCESS) *out = (unsigned)wide;
    return code;
}

uint64_t entity_or(const struct entity *entity, const char *key, uint64_t otherwise) {
    uint64_t number = otherwise;
    return entity_u64(entity, key, &number) == NVML_SUCCESS ? number : otherwise;
}

const char *entity_text(const struct entity *entity, const char *key) {
    const struct value *value = entity_value(entity, key);
    return value ? value->text : "";
}

struct gi *gpu_instance(const struct gpu *gpu, unsigned id) {
    for (size_t i = 0; i < gpu->instances.count; i++)
        if (gpu->instances.items[i].id == id) return &gpu->instances.items[i];
    return NULL;
}

bool gpu_in_mig(const struct gpu *gpu) {
    return entity_or(&gpu->entity, "mig_current", 0) == 1;
}

struct gpu *state_gpu(const struct state *state, const char *uuid) {
    for (size_t i = 0; i < state->gpus.count; i++)
        if (strcmp(state->gpus.items[i].uuid, uuid) == 0) return &state->gpus.items[i];
    return NULL;
}

const char *gi_incarnation(const struct gpu *gpu, unsigned id) {
    for (size_t i = 0; i < gpu->migs.count; i++)
        if (gpu->migs.items[i].gi == id) return gpu->migs.items[i].uuid;
    return "";
}
