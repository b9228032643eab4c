/* What torch gives to this extension, and what it needs to know of a tensor before it touches it. */
#pragma once
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030A0000
#include <Python.h>

#include "dlpack.h"
#include "row.h"

typedef struct {
    void *data;
    int64_t numel;
    Dtype dtype;
    int ndim;
    const int64_t *shape, *strides; /* of the tensor itself: valid as long as it is */
} View;

/* Python types and C functions of torch; given once, see kernels/cpu.py. */
PyObject *connect_torch(PyObject *module, PyObject *args);

/* Whether torch was connected; else a RuntimeError. */
int connected(void);

/* Whether `object` is a plain tensor in this machine's memory, whose elements fill one piece of it
   without gaps or overlaps; then `view` describes it. Never raises. */
int plain_tensor(PyObject *object, View *view);

/* Whether the elements of both lie in the same order. */
int same_layout(const View *a, const View *b);

/* Whether a sign is still to be applied to the numbers in memory (torch's negative bit). */
int is_negated(PyObject *tensor);

/* torch's own threads: func(begin, end, context) on parts of [0, end) of at least `grain`; nonzero if
   one failed. Without the interpreter's lock. */
int in_parallel(int64_t end, int64_t grain, void (*func)(int64_t, int64_t, void *), void *context);
