/* Tensors by DLPack's exchange API, threads by torch_parallel_for: no torch header, no link to torch. */
#include "tensors.h"

#include <stddef.h>

typedef int ParallelFor(int64_t begin, int64_t end, int64_t grain,
                        void (*func)(int64_t, int64_t, void *), void *context);

/* Written once under the interpreter's lock, by the import of adabelief.kernels.cpu; then read only. */
static PyObject *tensor_type, *parameter_type, *is_neg;
static const DLPackExchangeAPI *exchange;
static ParallelFor *parallel_for;

PyObject *connect_torch(PyObject *module, PyObject *args) {
    PyObject *tensor, *parameter, *capsule;
    unsigned long long address;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOK", &tensor, &parameter, &capsule, &address)) return NULL;
    const DLPackExchangeAPI *api = PyCapsule_GetPointer(capsule, "dlpack_exchange_api");
    if (api == NULL) return NULL;
    while (api != NULL && api->version.major > DLPACK_MAJOR) api = api->previous;
    if (api == NULL || api->version.major != DLPACK_MAJOR || api->tensor_from_object == NULL ||
        address == 0) {
        PyErr_SetString(PyExc_RuntimeError,
                        "torch must offer DLPack 1.x's exchange API and torch_parallel_for");
        return NULL;
    }
    if (is_neg == NULL && (is_neg = PyUnicode_InternFromString("is_neg")) == NULL) return NULL;
    Py_INCREF(tensor);
    Py_INCREF(parameter);
    Py_XDECREF(tensor_type);
    Py_XDECREF(parameter_type);
    tensor_type = tensor;
    parameter_type = parameter;
    exchange = api;
    parallel_for = (ParallelFor *)(uintptr_t)address;
    Py_RETURN_NONE;
}

int connected(void) {
    if (exchange == NULL) PyErr_SetString(PyExc_RuntimeError, "connect() must be called first");
    return exchange != NULL;
}

static Dtype dtype_of(const DLTensor *tensor) {
    if (tensor->dtype.lanes != 1) return NO_DTYPE;
    switch (tensor->dtype.code << 8 | tensor->dtype.bits) {
        case DLPACK_FLOAT << 8 | 32: return FLOAT32;
        case DLPACK_FLOAT << 8 | 64: return FLOAT64;
        case DLPACK_FLOAT << 8 | 16: return FLOAT16;
        case DLPACK_BFLOAT << 8 | 16: return BFLOAT16;
        case DLPACK_UINT << 8 | 8: return UINT8;
        case DLPACK_INT << 8 | 16: return INT16;
        default: return NO_DTYPE;
    }
}

/* Whether strides and shape cover numel places once each: every stride is the product of the sizes of
   the dimensions within it. */
static int is_dense(const View *view) {
    int64_t expected = 1;
    int dim = view->ndim - 1;
    for (; dim >= 0; dim--) { /* row-major, as nearly all are */
        if (view->shape[dim] == 1) continue;
        if (view->strides[dim] != expected) break;
        expected *= view->shape[dim];
    }
    if (dim < 0) return 1;
    expected = 1;
    uint64_t seen = 0;
    for (int found = 1; found;) {
        found = 0;
        for (dim = 0; dim < view->ndim; dim++) {
            if (seen >> dim & 1 || view->shape[dim] == 1 || view->strides[dim] != expected) continue;
            expected *= view->shape[dim];
            seen |= (uint64_t)1 << dim;
            found = 1;
        }
    }
    return expected == view->numel;
}

int plain_tensor(PyObject *object, View *view) {
    PyObject *type = (PyObject *)Py_TYPE(object);
    /* A subclass may give its numbers another meaning, or have none (FakeTensor). */
    if (type != tensor_type && type != parameter_type) return 0;
    DLTensor tensor;
    if (exchange->tensor_from_object(object, &tensor) != 0) {
        PyErr_Clear(); /* sparse, meta, mkldnn, functorch's wrappers */
        return 0;
    }
    view->dtype = dtype_of(&tensor);
    view->ndim = tensor.ndim;
    view->shape = tensor.shape;
    view->strides = tensor.strides;
    view->numel = 1;
    if (tensor.device.type != DLPACK_CPU || view->dtype == NO_DTYPE) return 0;
    if (tensor.ndim < 0 || tensor.ndim > 64 || (tensor.ndim > 0 && tensor.strides == NULL)) return 0;
    for (int dim = 0; dim < tensor.ndim; dim++) {
        const int64_t size = tensor.shape[dim];
        /* Strides below 0 do not exist in torch; a product beyond this is not in anyone's memory. */
        if (size < 0 || tensor.strides[dim] < 0 || (size && view->numel > INT64_MAX / 16 / size))
            return 0;
        view->numel *= size;
    }
    if (view->numel == 0) {
        view->data = NULL;
        return 1;
    }
    if (tensor.data == NULL) return 0; /* a storage that was resized to 0 */
    view->data = (char *)tensor.data + tensor.byte_offset;
    /* torch.frombuffer at an odd offset */
    if ((uintptr_t)view->data % (tensor.dtype.bits / 8u) != 0) return 0;
    return is_dense(view);
}

int same_layout(const View *a, const View *b) {
    if (a->ndim != b->ndim || a->numel != b->numel) return 0;
    for (int dim = 0; dim < a->ndim; dim++) {
        if (a->shape[dim] != b->shape[dim]) return 0;
        if (a->numel > 0 && a->shape[dim] != 1 && a->strides[dim] != b->strides[dim]) return 0;
    }
    return 1;
}

int is_negated(PyObject *tensor) {
    PyObject *answer = PyObject_CallMethodObjArgs(tensor, is_neg, NULL);
    const int negated = answer != Py_False;
    if (answer == NULL) PyErr_Clear();
    Py_XDECREF(answer);
    return negated;
}

int in_parallel(int64_t end, int64_t grain, void (*func)(int64_t, int64_t, void *), void *context) {
    int failed;
    Py_BEGIN_ALLOW_THREADS;
    failed = parallel_for(0, end, grain, func, context);
    Py_END_ALLOW_THREADS;
    return failed;
}
