/* What this extension uses of DLPack 1.x (github.com/dmlc/dlpack), declared from its specification. */
#pragma once
#include <stdint.h>

enum { DLPACK_MAJOR = 1, DLPACK_CPU = 1, DLPACK_INT = 0, DLPACK_UINT = 1, DLPACK_FLOAT = 2, DLPACK_BFLOAT = 4 };

typedef struct {
    void *data;
    struct {
        int32_t type, id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape, *strides; /* owned by the tensor; strides may be NULL: row-major */
    uint64_t byte_offset;
} DLTensor;

/* The capsule "dlpack_exchange_api" in torch.Tensor.__dlpack_c_exchange_api__ (DLPack 1.3). */
typedef struct DLPackExchangeAPI {
    struct {
        uint32_t major, minor;
    } version;
    struct DLPackExchangeAPI *previous;
    void *managed_tensor_allocator, *managed_tensor_from_object, *managed_tensor_to_object;
    /* Fills `out` with a view of the object that lives as long as the object; 0, or -1 with a Python
       exception. May be NULL. */
    int (*tensor_from_object)(void *object, DLTensor *out);
    void *current_work_stream;
} DLPackExchangeAPI;
