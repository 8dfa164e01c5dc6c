/*
 * The part of NVML's binary interface that the fake answers: codes, constants and struct layouts.
 *
 * Layouts are those of nvml.h 13.x on x86-64; the assertions hold them to the sizes that the Python binding's ctypes
 * structures have.
 */
#ifndef FAKE_NVML_ABI_H
#define FAKE_NVML_ABI_H

#include <stdint.h>

typedef enum {
    NVML_SUCCESS = 0,
    NVML_UNINITIALIZED = 1,
    NVML_INVALID_ARGUMENT = 2,
    NVML_NOT_SUPPORTED = 3,
    NVML_NO_PERMISSION = 4,
    NVML_NOT_FOUND = 6,
    NVML_INSUFFICIENT_SIZE = 7,
    NVML_DRIVER_NOT_LOADED = 9,
    NVML_TIMEOUT = 10,
    NVML_GPU_IS_LOST = 15,
    NVML_RESET_REQUIRED = 16,
    NVML_MEMORY = 20,
    NVML_ARGUMENT_VERSION_MISMATCH = 25,
    NVML_UNKNOWN = 999,
} nvml_return;

#define NVML_WHOLE_GPU 0xFFFFFFFFu
#define NVML_NOT_AVAILABLE_U64 UINT64_MAX
#define NVML_PROFILE_COUNT 0x12u
#define NVML_VERSIONED(type, version) ((unsigned)(sizeof(type) | ((unsigned)(version) << 24)))

typedef struct handle *nvml_device;
typedef struct handle *nvml_gpu_instance;
typedef struct handle *nvml_compute_instance;
typedef struct gpm_sample *nvml_gpm_sample;
typedef struct event_set *nvml_event_set;

typedef struct {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
} nvml_pci_info;

typedef struct {
    uint64_t total, free, used;
} nvml_memory;

typedef struct {
    unsigned version;
    uint64_t total, reserved, free, used;
} nvml_memory_v2;

typedef struct {
    unsigned gpu, memory;
} nvml_utilization;

typedef struct {
    unsigned pid;
    uint64_t memory;
    unsigned gi, ci;
} nvml_process_info;

typedef struct {
    unsigned pid;
    uint64_t memory;
    unsigned gi, ci;
    uint64_t protected_memory;
} nvml_process_detail;

typedef struct {
    unsigned version, mode, count;
    nvml_process_detail *items;
} nvml_process_detail_list;

typedef struct {
    unsigned pid;
    uint64_t timestamp;
    unsigned sm, mem, enc, dec;
} nvml_process_sample;

typedef struct {
    uint64_t timestamp;
    unsigned pid, sm, mem, enc, dec, jpg, ofa;
} nvml_process_use;

typedef struct {
    unsigned version, count;
    uint64_t last_seen;
    nvml_process_use *items;
} nvml_process_use_list;

typedef struct {
    unsigned sm_count, engines[5], gi_slices, ci_slices;
    uint64_t memory_mib;
} nvml_attributes;

typedef struct {
    unsigned id, p2p, slices, instances, sm_count, engines[5];
    uint64_t memory_mib;
} nvml_gi_profile;

typedef struct {
    unsigned version, id, p2p, slices, instances, sm_count, engines[5];
    uint64_t memory_mib;
    char name[96];
} nvml_gi_profile_v2;

typedef struct {
    unsigned start, size;
} nvml_placement;

typedef struct {
    nvml_device device;
    unsigned id, profile_id;
    nvml_placement placement;
} nvml_gi_info;

typedef struct {
    nvml_device device;
    nvml_gpu_instance gi;
    unsigned id, profile_id;
    nvml_placement placement;
} nvml_ci_info;

typedef union {
    double real;
    unsigned u32;
    uint64_t u64;
    int64_t s64;
} nvml_value;

typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency_us;
    unsigned type;
    int code;
    nvml_value value;
} nvml_field_value;

typedef struct {
    nvml_device device;
    uint64_t type, data;
    unsigned gi, ci;
} nvml_event_data;

typedef struct {
    unsigned version, supported;
} nvml_gpm_support;

typedef struct {
    unsigned id;
    int code;
    double value;
    const char *short_name, *long_name, *unit;
} nvml_gpm_metric;

typedef struct {
    unsigned version, count;
    nvml_gpm_sample first, second;
    nvml_gpm_metric metrics[];
} nvml_gpm_metrics;

typedef struct {
    unsigned version, sensor;
    int celsius;
} nvml_temperature;

typedef struct {
    unsigned version;
    int celsius;
} nvml_margin_temperature;

typedef struct {
    unsigned version;
    uint64_t aggregate_parity, aggregate_secded, aggregate_corrected;
    uint64_t volatile_parity, volatile_secded, volatile_corrected;
    uint64_t buckets[5];
    unsigned threshold_exceeded;
} nvml_sram_ecc;

typedef struct {
    unsigned max, high, partial, low, none;
} nvml_row_histogram;

_Static_assert(sizeof(nvml_pci_info) == 68, "nvmlPciInfo_t");
_Static_assert(sizeof(nvml_memory) == 24, "nvmlMemory_t");
_Static_assert(sizeof(nvml_memory_v2) == 40, "nvmlMemory_v2_t");
_Static_assert(sizeof(nvml_process_info) == 24, "nvmlProcessInfo_t");
_Static_assert(sizeof(nvml_process_detail) == 32, "nvmlProcessDetail_v1_t");
_Static_assert(sizeof(nvml_process_detail_list) == 24, "nvmlProcessDetailList_v1_t");
_Static_assert(sizeof(nvml_process_sample) == 32, "nvmlProcessUtilizationSample_t");
_Static_assert(sizeof(nvml_process_use) == 40, "nvmlProcessUtilizationInfo_v1_t");
_Static_assert(sizeof(nvml_process_use_list) == 24, "nvmlProcessesUtilizationInfo_v1_t");
_Static_assert(sizeof(nvml_attributes) == 40, "nvmlDeviceAttributes_t");
_Static_assert(sizeof(nvml_gi_profile) == 48, "nvmlGpuInstanceProfileInfo_t");
_Static_assert(sizeof(nvml_gi_profile_v2) == 152, "nvmlGpuInstanceProfileInfo_v2_t");
_Static_assert(sizeof(nvml_gi_info) == 24, "nvmlGpuInstanceInfo_t");
_Static_assert(sizeof(nvml_ci_info) == 32, "nvmlComputeInstanceInfo_t");
_Static_assert(sizeof(nvml_field_value) == 40, "nvmlFieldValue_t");
_Static_assert(sizeof(nvml_event_data) == 32, "nvmlEventData_t");
_Static_assert(sizeof(nvml_gpm_metric) == 40, "nvmlGpmMetric_t");
_Static_assert(sizeof(nvml_gpm_metrics) == 24, "nvmlGpmMetricsGet_t up to its metrics");
_Static_assert(sizeof(nvml_temperature) == 12, "nvmlTemperature_v1_t");
_Static_assert(sizeof(nvml_margin_temperature) == 8, "nvmlMarginTemperature_v1_t");
_Static_assert(sizeof(nvml_sram_ecc) == 104, "nvmlEccSramErrorStatus_v1_t");
_Static_assert(sizeof(nvml_row_histogram) == 20, "nvmlRowRemapperHistogramValues_t");

#endif
