/*
 * What a device is: names, numbers and modes.
 */
#include <stdio.h>
#include <string.h>

#include "fake.h"

API nvml_return nvmlDeviceGetUUID(nvml_device device, char *out, unsigned room) {
    ENTER_ON(call, device);
    return put_text(out, room, call.mig ? call.mig->uuid : call.gpu->uuid);
}

API nvml_return nvmlDeviceGetName(nvml_device device, char *out, unsigned room) {
    ENTER_ON(call, device);
    char name[512];
    const char *board = entity_text(&call.gpu->entity, "name");
    if (call.mig)
        snprintf(name, sizeof name, "%s MIG %s", board, entity_text(&call.mig->entity, "profile"));
    else
        snprintf(name, sizeof name, "%s", board);
    return put_text(out, room, name);
}

/* Of a MIG device: its place under the parent (nvml.h). */
API nvml_return nvmlDeviceGetIndex(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = call.mig ? call.mig->index : call.gpu->index;
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetMinorNumber(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    return entity_u32(&call.gpu->entity, "minor", out);
}

API nvml_return nvmlDeviceGetPciInfo_v3(nvml_device device, nvml_pci_info *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    if (!out) return NVML_INVALID_ARGUMENT;
    memset(out, 0, sizeof *out);
    snprintf(out->bus_id, sizeof out->bus_id, "%s", entity_text(&call.gpu->entity, "pci_bus_id"));
    if (sscanf(out->bus_id, "%x:%x:%x", &out->domain, &out->bus, &out->device) == 3)
        snprintf(out->bus_id_legacy, sizeof out->bus_id_legacy, "%04X:%02X:%02X.0", out->domain & 0xFFFF,
                 out->bus & 0xFF, out->device & 0xFF);
    return NVML_SUCCESS;
}

API nvml_return nvmlDeviceGetArchitecture(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    return entity_u32(&call.gpu->entity, "architecture", out);
}

API nvml_return nvmlDeviceGetCudaComputeCapability(nvml_device device, int *major, int *minor) {
    ENTER_ON(call, device);
    nvml_return code = entity_u32(&call.gpu->entity, "compute_capability.0", (unsigned *)major);
    return code ? code : entity_u32(&call.gpu->entity, "compute_capability.1", (unsigned *)minor);
}

/* Not in MIG mode: the profile catalogue says it there (nvml.h). */
API nvml_return nvmlDeviceGetNumGpuCores(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    if (call.mig || gpu_in_mig(call.gpu)) return NVML_NOT_SUPPORTED;
    return entity_u32(&call.gpu->entity, "cores", out);
}

/* The header wants a MIG handle in MIG mode; a capture of a real parent prints a mode all the same. */
API nvml_return nvmlDeviceGetComputeMode(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    return entity_u32(&call.gpu->entity, "compute_mode", out);
}

API nvml_return nvmlDeviceGetPersistenceMode(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    GPU_ONLY(call, NVML_NOT_SUPPORTED);
    return entity_u32(&call.gpu->entity, "persistence", out);
}

API nvml_return nvmlDeviceGetVirtualizationMode(nvml_device device, unsigned *out) {
    ENTER_ON(call, device);
    if (!out) return NVML_INVALID_ARGUMENT;
    *out = 0; /* none: bare metal or a container */
    return NVML_SUCCESS;
}
