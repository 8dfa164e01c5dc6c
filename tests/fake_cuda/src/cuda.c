/*
 * A fake libcuda.so.1: as much of the CUDA driver API as the hardware kit's tenants use, on devices that do not exist.
 *
 * Kernels take time and nothing else. All processes that have work on the device at one moment get equal parts of it, as
 * turns of no length would give them (board.c).
 *
 * Work is done when somebody waits for it: the queue is one for all streams, in the order of the launches.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board.h"

#define API __attribute__((visibility("default")))

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_PTX = 218,
       INVALID_HANDLE = 400, NOT_FOUND = 500 };

#define QUEUE 4096
#define ROUNDS_PER_SECOND 1000000.0

struct kernel {
    char name[16];
};

struct event {
    uint64_t position;
};

struct block {
    void *address;
    size_t size;
    struct block *next;
};

static struct work queue[QUEUE];
static uint64_t launched, done;
static struct kernel kernels[] = {{"spin"}, {"gaps"}};
static struct block *blocks;

static void run_until(uint64_t position) {
    while (done < position) {
        board_serve(&queue[done % QUEUE]);
        done++;
    }
}

API int cuInit(unsigned flags) {
    const char *path = getenv("SLICEWATCH_FAKE_CUDA");
    if (flags) return INVALID_VALUE;
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return NO_DEVICE;
    void *mapped = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) return NO_DEVICE;
    board = mapped;
    return OK;
}

API int cuGetErrorName(int code, const char **name) {
    static const struct {
        int code;
        const char *name;
    } names[] = {{INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},     {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
                 {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED"}, {NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
                 {INVALID_PTX, "CUDA_ERROR_INVALID_PTX"},         {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE"},
                 {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].code == code) {
            *name = names[i].name;
            return OK;
        }
    }
    return INVALID_VALUE;
}

API int cuDriverGetVersion(int *version) {
    *version = 13000;
    return OK;
}

API int cuDeviceGetCount(int *count) {
    if (!board) return NOT_INITIALIZED;
    *count = 1;
    return OK;
}

API int cuDeviceGet(int *device, int index) {
    if (!board) return NOT_INITIALIZED;
    if (index != 0) return INVALID_VALUE;
    *device = 0;
    return OK;
}

API int cuDeviceGetName(char *name, int size, int device) {
    if (!board || device) return INVALID_VALUE;
    snprintf(name, (size_t)size, "fake GPU");
    return OK;
}

API int cuDeviceGetUuid_v2(unsigned char *uuid, int device) {
    if (!board || device) return INVALID_VALUE;
    memcpy(uuid, board->uuid, sizeof board->uuid);
    return OK;
}

API int cuDeviceGetAttribute(int *value, int which, int device) {
    if (!board || device) return INVALID_VALUE;
    switch (which) {
        case 16: *value = (int)board->sms; return OK;
        case 75: *value = (int)board->major; return OK;
        case 76: *value = (int)board->minor; return OK;
        default: return INVALID_VALUE;
    }
}

API int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) {
    return board && !device && flags <= 31 ? OK : INVALID_VALUE;
}

API int cuDevicePrimaryCtxRetain(void **context, int device) {
    if (!board) return NOT_INITIALIZED;
    if (device) return INVALID_VALUE;
    if (!mine) mine = board_claim();
    *context = mine;
    return mine ? OK : OUT_OF_MEMORY;
}

API int cuDevicePrimaryCtxRelease_v2(int device) {
    if (!mine || device) return INVALID_VALUE;
    mine->at_work = 0;
    mine->memory = 0;
    mine->pid = 0;
    mine = NULL;
    done = launched; /* a context that goes takes its work with it */
    return OK;
}

API int cuCtxSetCurrent(void *context) {
    return context && context == mine ? OK : INVALID_HANDLE;
}

API int cuCtxSynchronize(void) {
    if (!mine) return NOT_INITIALIZED;
    run_until(launched);
    return OK;
}

API int cuModuleLoadData(void **module, const char *image) {
    if (!mine) return NOT_INITIALIZED;
    if (strncmp(image, ".version ", 9) != 0 || !strstr(image, ".target ")) return INVALID_PTX;
    *module = strdup(image);
    return OK;
}

API int cuModuleGetFunction(void **function, void *module, const char *name) {
    char entry[64];
    snprintf(entry, sizeof entry, ".entry %s(", name);
    if (!module || !strstr(module, entry)) return NOT_FOUND;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (strcmp(kernels[i].name, name) == 0) {
            *function = &kernels[i];
            return OK;
        }
    }
    return NOT_FOUND;
}

/* Memory is reserved and not committed: nobody writes to what a hog takes. */
API int cuMemAlloc_v2(uint64_t *address, size_t size) {
    if (!mine) return NOT_INITIALIZED;
    if (!size) return INVALID_VALUE;
    if (board_held() + size > board->memory) return OUT_OF_MEMORY;
    struct block *block = malloc(sizeof *block);
    void *found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!block || found == MAP_FAILED) return OUT_OF_MEMORY;
    *block = (struct block){found, size, blocks};
    blocks = block;
    mine->memory += size;
    *address = (uint64_t)(uintptr_t)found;
    return OK;
}

API int cuMemFree_v2(uint64_t address) {
    for (struct block **at = &blocks; *at; at = &(*at)->next) {
        struct block *block = *at;
        if ((uint64_t)(uintptr_t)block->address != address) continue;
        *at = block->next;
        munmap(block->address, block->size);
        mine->memory -= block->size;
        free(block);
        return OK;
    }
    return INVALID_VALUE;
}

API int cuMemGetInfo_v2(size_t *available, size_t *total) {
    if (!mine) return NOT_INITIALIZED;
    *total = board->memory;
    *available = board->memory - board_held();
    return OK;
}

API int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) {
    run_until(launched);
    memcpy(to, (void *)(uintptr_t)from, size);
    return OK;
}

API int cuStreamCreate(void **stream, unsigned flags) {
    if (!mine || flags > 1) return INVALID_VALUE;
    *stream = malloc(1);
    return *stream ? OK : OUT_OF_MEMORY;
}

API int cuEventCreate(void **event, unsigned flags) {
    if (!mine || flags > 7) return INVALID_VALUE;
    *event = calloc(1, sizeof(struct event));
    return *event ? OK : OUT_OF_MEMORY;
}

API int cuEventRecord(void *event, void *stream) {
    (void)stream;
    if (!event) return INVALID_HANDLE;
    ((struct event *)event)->position = launched;
    return OK;
}

API int cuEventSynchronize(void *event) {
    if (!event) return INVALID_HANDLE;
    run_until(((struct event *)event)->position);
    return OK;
}

API int cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                       unsigned block_y, unsigned block_z, unsigned shared, void *stream, void **parameters,
                       void **extra) {
    (void)stream;
    if (!mine) return NOT_INITIALIZED;
    if (!grid_x || grid_y != 1 || grid_z != 1 || !block_x || block_x > 1024 || block_y != 1 || block_z != 1 || shared ||
        extra || !parameters)
        return INVALID_VALUE;
    if (launched - done >= QUEUE) run_until(done + 1);
    struct work *work = &queue[launched % QUEUE];
    uint64_t first = *(uint64_t *)parameters[0];
    if (function == &kernels[0])
        *work = (struct work){.seconds = (double)first / ROUNDS_PER_SECOND};
    else if (function == &kernels[1])
        *work = (struct work){.gaps = 1,
                              .seconds = (double)first * 1e-9,
                              .threshold = *(uint64_t *)parameters[1],
                              .room = *(uint64_t *)parameters[2],
                              .out = (uint64_t *)(uintptr_t) * (uint64_t *)parameters[3]};
    else
        return INVALID_HANDLE;
    launched++;
    return OK;
}
