/* Batch: the rows of one step. They are checked and gathered first, then run all at once: what is
   refused while gathering costs nothing. A batch holds a reference to each tensor, so that none is
   freed while the kernel runs without the interpreter's lock. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensors.h"

/* Objects that a row refers to. */
enum { PARAM, GRAD, EXP_AVG, EXP_AVG_VAR, MAX_EXP_AVG_VAR, EXPONENTS, MASTER_BITS, STEP, HELD };

/* Blocks: a thread of its own pays from here on. 2¹⁵ elements, as at::internal::GRAIN_SIZE. */
enum { GRAIN = 32768 / BLOCK };

typedef struct {
    PyObject_HEAD
    Row *rows;
    PyObject *(*held)[HELD];
    Py_ssize_t count, capacity;
    int slots;
    int busy, done;
} Batch;

/* State keys, by the enumeration above; "grad" is the gradient's attribute. */
static const char *const NAMES[HELD] = {NULL, "grad", "exp_avg", "exp_avg_var", "max_exp_avg_var",
                                        "exp_avg_var_exponent", "master_bits", "step"};
static PyObject *names[HELD];

static int intern_names(void) {
    for (int i = GRAD; i < HELD; i++)
        if (names[i] == NULL && (names[i] = PyUnicode_InternFromString(NAMES[i])) == NULL) return -1;
    return 0;
}

/* Whoever fills or runs a batch has it alone: Python code that is called meanwhile (a subclass's `grad`,
   a number's __float__), or another thread during the step, would move the rows. */
static int enter(Batch *self) {
    if (!self->busy && !self->done) return self->busy = 1;
    PyErr_SetString(PyExc_RuntimeError, "a batch is filled by one call at a time, and runs once");
    return 0;
}

static int reserve(Batch *self, Py_ssize_t more) {
    if (self->capacity - self->count >= more) return 0;
    const Py_ssize_t capacity = self->count + more > 2 * self->capacity ? self->count + more
                                                                        : 2 * self->capacity;
    Row *rows = realloc(self->rows, (size_t)capacity * sizeof *rows);
    if (rows != NULL) self->rows = rows;
    PyObject *(*held)[HELD] = realloc(self->held, (size_t)capacity * sizeof *held);
    if (held != NULL) self->held = held;
    if (rows == NULL || held == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->capacity = capacity;
    return 0;
}

/* Whether `object` is a plain tensor of this dtype in the layout of `like`; then `data` is its memory. */
static int fits(PyObject *object, const View *like, Dtype dtype, void *data) {
    View view;
    if (object == NULL || !plain_tensor(object, &view)) return 0;
    if (view.dtype != dtype || !same_layout(&view, like)) return 0;
    memcpy(data, &view.data, sizeof view.data);
    return 1;
}

static int is_narrow(Dtype dtype) { return dtype == FLOAT32 || dtype == BFLOAT16 || dtype == FLOAT16; }

/* Fills a row from its objects, all but step, slot and key; 0 if the kernel cannot take them. */
static int fill_row(Row *row, PyObject *const *o, int amsgrad, StateDtype state_dtype,
                    Master master) {
    View param, grad;
    memset(row, 0, sizeof *row);
    if (!plain_tensor(o[PARAM], &param) || !plain_tensor(o[GRAD], &grad)) return 0;
    if (!same_layout(&param, &grad)) return 0;
    /* Only imaginary parts have torch's negative bit; of more than one element they have gaps. */
    if (grad.numel == 1 && (is_negated(o[GRAD]) || is_negated(o[PARAM]))) return 0;
    row->param = param.data;
    row->grad = grad.data;
    row->param_dtype = param.dtype;
    row->grad_dtype = grad.dtype;
    row->numel = param.numel;
    Dtype first = FLOAT64, second = FLOAT64;
    if (param.dtype == FLOAT64) {
        if (grad.dtype != FLOAT64 || state_dtype != STATE_WIDE) return 0;
    } else {
        if (!is_narrow(param.dtype) || !is_narrow(grad.dtype)) return 0;
        first = state_dtype == STATE_WIDE ? FLOAT32 : BFLOAT16;
        second = state_dtype == STATE_8BIT ? UINT8 : first;
    }
    row->state_dtype = state_dtype;
    row->master = param.dtype == BFLOAT16 ? master : MASTER_NONE;
    if (!fits(o[EXP_AVG], &param, first, &row->exp_avg)) return 0;
    if (!fits(o[EXP_AVG_VAR], &param, second, &row->exp_avg_var)) return 0;
    if (amsgrad && !fits(o[MAX_EXP_AVG_VAR], &param, second, &row->max_exp_avg_var)) return 0;
    if (row->master == MASTER_SPLIT && !fits(o[MASTER_BITS], &param, INT16, &row->master_bits))
        return 0;
    if (state_dtype == STATE_8BIT) {
        View exponents;
        if (amsgrad || o[EXPONENTS] == NULL || !plain_tensor(o[EXPONENTS], &exponents)) return 0;
        if (exponents.dtype != UINT8 || exponents.numel != blocks_of(row->numel)) return 0;
        row->exponents = exponents.data;
    }
    return 1;
}

static void add_row(Batch *self, const Row *row, PyObject *const *objects) {
    self->rows[self->count] = *row;
    for (int i = 0; i < HELD; i++) {
        Py_XINCREF(objects[i]);
        self->held[self->count][i] = objects[i];
    }
    self->count++;
}

/* low_precision/random_bits.py: the key of a parameter at a step. */
static void set_key(Row *row, uint32_t position, uint32_t step) {
    row->key[0] = scramble(scramble(position + 0x9E3779B9, 0) + step, 0);
    row->key[1] = scramble(row->key[0] + 0x9E3779B9, 0);
}

/* The parameter's own dict of state, borrowed: states are mostly in the parameters' order, so the next
   one is tried before the dict is searched, which calls the tensor's __hash__. */
static PyObject *state_of(PyObject *states, PyObject *param, Py_ssize_t *cursor) {
    PyObject *key, *value;
    Py_ssize_t next = *cursor;
    if (PyDict_Next(states, &next, &key, &value) && key == param) {
        *cursor = next;
        return value;
    }
    return PyDict_GetItemWithError(states, param);
}

/* The different t of one call, each a slot of `run`. */
typedef struct {
    PyObject *list;
    int64_t *values;
    int count, capacity;
} Times;

/* The number of this t among them, or -1 with an exception. */
static int slot_of(Times *times, int64_t t) {
    for (int slot = 0; slot < times->count; slot++)
        if (times->values[slot] == t) return slot;
    if (times->count == times->capacity) {
        const int capacity = times->capacity ? 2 * times->capacity : 8;
        int64_t *values = realloc(times->values, (size_t)capacity * sizeof *values);
        if (values == NULL) return PyErr_NoMemory(), -1;
        times->values = values;
        times->capacity = capacity;
    }
    PyObject *number = PyLong_FromLongLong(t);
    const int failed = number == NULL || PyList_Append(times->list, number) < 0;
    Py_XDECREF(number);
    if (failed) return -1;
    times->values[times->count] = t;
    return times->count++;
}

typedef struct {
    int amsgrad, state_dtype, master;
} Options;

/* Looks up a parameter's state; 0 if it has none yet, or lacks a tensor. New references. */
static int find_state(PyObject *state, PyObject **o, const Options *options) {
    if (state == NULL || !PyDict_Check(state)) return 0;
    /* Nearly always there is nothing else, and the keys are ours: then nothing is searched. */
    PyObject *key, *value;
    for (Py_ssize_t next = 0; PyDict_Next(state, &next, &key, &value);)
        for (int k = EXP_AVG; k < HELD; k++)
            if (key == names[k] && o[k] == NULL) Py_INCREF(o[k] = value);
    for (int k = EXP_AVG; k < HELD; k++) {
        const int needed = k == MAX_EXP_AVG_VAR ? options->amsgrad
                           : k == EXPONENTS     ? options->state_dtype == STATE_8BIT
                           : k == MASTER_BITS   ? options->master == MASTER_SPLIT
                                                : 1;
        if (needed && o[k] == NULL) Py_XINCREF(o[k] = PyDict_GetItemWithError(state, names[k]));
        if (needed && o[k] == NULL && k != MASTER_BITS) return 0;
    }
    return 1;
}

/* 1 if the parameter was added, 0 if it is left to others, -1 with an exception. */
static int gather_one(Batch *self, PyObject **o, PyObject *state, uint32_t position,
                      const Options *options, Times *times) {
    Row row;
    View step;
    if (!find_state(state, o, options) || !plain_tensor(o[STEP], &step)) return 0;
    if (step.dtype != FLOAT32 || step.numel != 1) return 0;
    if (!fill_row(&row, o, options->amsgrad, options->state_dtype, options->master)) return 0;
    /* Of another format, from before an option or the dtype changed; state.fill drops them. */
    if (o[EXPONENTS] != NULL && row.state_dtype != STATE_8BIT) return 0;
    if (o[MASTER_BITS] != NULL && row.master != MASTER_SPLIT) return 0;
    const float time = *(const float *)step.data + 1;
    if (!(time >= 1 && time <= 16777216.0f)) return 0; /* 2²⁴: where float32 stops counting */
    const int slot = slot_of(times, (int64_t)time);
    if (slot < 0) return -1;
    row.slot = self->slots + slot;
    row.step = step.data;
    set_key(&row, position, (uint32_t)(int64_t)time);
    add_row(self, &row, o);
    return 1;
}

static int valid(int state_dtype, int master) {
    if (state_dtype >= STATE_WIDE && state_dtype <= STATE_8BIT && master >= MASTER_NONE &&
        master <= MASTER_STOCHASTIC)
        return 1;
    PyErr_Format(PyExc_ValueError, "state_dtype and master must be 0, 1 or 2, got %d and %d",
                 state_dtype, master);
    return 0;
}

/* Gives up the rows from `count` on. */
static void shrink(Batch *self, Py_ssize_t count) {
    while (self->count > count) {
        self->count--;
        for (int k = 0; k < HELD; k++) Py_XDECREF(self->held[self->count][k]);
    }
}

static int append_index(PyObject *list, Py_ssize_t i) {
    PyObject *index = PyLong_FromSsize_t(i);
    const int failed = index == NULL || PyList_Append(list, index) < 0;
    Py_XDECREF(index);
    return failed ? -1 : 0;
}

PyDoc_STRVAR(gather_doc,
             "gather(params, states, position, amsgrad, state_dtype, master, /) -> (times, rest)\n\n"
             "Adds the parameters that have a gradient and that the kernel can take. `times` are their\n"
             "different t after this step, one slot of `run` each; `rest` the indices of the others.");

static PyObject *gather(Batch *self, PyObject *args) {
    PyObject *params, *states;
    Py_ssize_t position, cursor = 0;
    Options options;
    if (!PyArg_ParseTuple(args, "O!O!npii", &PyList_Type, &params, &PyDict_Type, &states, &position,
                          &options.amsgrad, &options.state_dtype, &options.master))
        return NULL;
    if (!valid(options.state_dtype, options.master) || !connected() || !enter(self)) return NULL;
    const Py_ssize_t count = PyList_Size(params), before = self->count;
    Times times = {PyList_New(0), NULL, 0, 0};
    PyObject *rest = PyList_New(0);
    int failed = times.list == NULL || rest == NULL || reserve(self, count) < 0;
    for (Py_ssize_t i = 0; !failed && i < count; i++) {
        PyObject *o[HELD] = {NULL};
        /* Owned while we look: a subclass's code may change the list, which the index is then
           checked against anew. */
        if ((o[PARAM] = PyList_GetItem(params, i)) == NULL) {
            failed = 1;
            break;
        }
        Py_INCREF(o[PARAM]);
        o[GRAD] = PyObject_GetAttr(o[PARAM], names[GRAD]);
        failed = o[GRAD] == NULL;
        if (!failed && o[GRAD] != Py_None) {
            PyObject *state = state_of(states, o[PARAM], &cursor);
            int added = -1;
            if (state != NULL || !PyErr_Occurred())
                added = gather_one(self, o, state, (uint32_t)(position + i), &options, &times);
            failed = added < 0 || (added == 0 && append_index(rest, i) < 0);
        }
        for (int k = 0; k < HELD; k++) Py_XDECREF(o[k]);
    }
    free(times.values);
    self->busy = 0;
    if (failed) {
        shrink(self, before);
        Py_XDECREF(times.list);
        Py_XDECREF(rest);
        return NULL;
    }
    self->slots += times.count;
    return Py_BuildValue("NN", times.list, rest);
}

PyDoc_STRVAR(append_doc,
             "append(arrays, amsgrad, state_dtype, master, key0, key1, slot, /) -> bool\n\n"
             "Adds one row: `arrays` are param, grad, exp_avg, exp_avg_var, max_exp_avg_var,\n"
             "exp_avg_var_exponent and master_bits, or None. False if the kernel cannot take it.");

static PyObject *append(Batch *self, PyObject *args) {
    PyObject *o[HELD] = {NULL};
    int amsgrad, state_dtype, master, slot;
    unsigned int first, second;
    if (!PyArg_ParseTuple(args, "(OOOOOOO)piiIIi", &o[PARAM], &o[GRAD], &o[EXP_AVG], &o[EXP_AVG_VAR],
                          &o[MAX_EXP_AVG_VAR], &o[EXPONENTS], &o[MASTER_BITS], &amsgrad,
                          &state_dtype, &master, &first, &second, &slot))
        return NULL;
    if (!valid(state_dtype, master) || !connected()) return NULL;
    if (slot < 0 || slot > self->slots) {
        PyErr_Format(PyExc_ValueError, "slot must be 0 ... %d, the next one, got %d", self->slots,
                     slot);
        return NULL;
    }
    if (!enter(self)) return NULL;
    Row row;
    const int fits_here = fill_row(&row, o, amsgrad, state_dtype, master);
    const int failed = fits_here && reserve(self, 1) < 0;
    self->busy = 0;
    if (failed) return NULL;
    if (!fits_here) Py_RETURN_FALSE;
    row.slot = slot;
    row.key[0] = first;
    row.key[1] = second;
    add_row(self, &row, o);
    if (slot >= self->slots) self->slots = slot + 1;
    Py_RETURN_TRUE;
}

typedef struct {
    uintptr_t begin, end;
    int written;
} Interval;

static void merge(const Interval *a, const Interval *a_end, const Interval *b, const Interval *b_end,
                  Interval *to) {
    while (a < a_end && b < b_end) *to++ = b->begin < a->begin ? *b++ : *a++;
    while (a < a_end) *to++ = *a++;
    while (b < b_end) *to++ = *b++;
}

/* Sorts by begin: natural merge sort, since arrays are mostly allocated one after the other, so that a
   few runs are found and merged. `other` is room for as many; returns which of both has the result. */
static Interval *sorted(Interval *all, Interval *other, size_t n) {
    for (size_t runs = 2; runs > 1;) {
        runs = 0;
        size_t ends[2], begin = 0;
        for (size_t i = 0; i < n; runs++) {
            const size_t start = i++;
            while (i < n && all[i].begin >= all[i - 1].begin) i++;
            ends[runs % 2] = i;
            if (runs % 2 == 1) {
                merge(all + begin, all + ends[0], all + ends[0], all + ends[1], other + begin);
                begin = ends[1];
            } else {
                begin = start;
            }
        }
        if (runs % 2 == 1) memcpy(other + begin, all + begin, (n - begin) * sizeof *all);
        Interval *swapped = all;
        all = other;
        other = swapped;
    }
    return all;
}

static const int64_t SIZES[] = {[FLOAT32] = 4, [FLOAT64] = 8, [BFLOAT16] = 2,
                                [FLOAT16] = 2, [UINT8] = 1,   [INT16] = 2};

/* 1 if some array that is written overlaps another one (threads would race, and the order of
   parameters matter), 0 if none does, -1 without memory. */
static int overlapping(const Batch *self) {
    enum { ARRAYS = 8 };
    const size_t count = (size_t)self->count;
    Interval *all = malloc((count * ARRAYS + 1) * 2 * sizeof *all);
    size_t n = 0;
    if (all == NULL) return -1;
    /* Array by array, not row by row: so they are runs of rising addresses. */
    for (int k = 0; k < ARRAYS; k++) {
        for (size_t i = 0; i < count; i++) {
            const Row *row = &self->rows[i];
            const Dtype wide = row->param_dtype == FLOAT64 ? FLOAT64 : FLOAT32;
            const Dtype first = row->state_dtype == STATE_WIDE ? wide : BFLOAT16;
            const Dtype second = row->state_dtype == STATE_8BIT ? UINT8 : first;
            const void *const arrays[ARRAYS] = {row->grad,        row->param,
                                                row->exp_avg,     row->exp_avg_var,
                                                row->max_exp_avg_var, row->master_bits,
                                                row->exponents,   row->step};
            const Dtype dtypes[ARRAYS] = {row->grad_dtype, row->param_dtype, first, second,
                                          second,          INT16,            UINT8, FLOAT32};
            const uintptr_t begin = (uintptr_t)arrays[k];
            if (begin == 0) continue;
            const int64_t length = k == ARRAYS - 1   ? 1
                                   : k == ARRAYS - 2 ? blocks_of(row->numel)
                                                     : row->numel;
            all[n++] = (Interval){begin, begin + (uintptr_t)(length * SIZES[dtypes[k]]), k > 0};
        }
    }
    const Interval *order = sorted(all, all + n, n);
    int found = 0;
    uintptr_t written = 0, read = 0; /* the farthest end of each so far */
    for (size_t i = 0; i < n && !found; i++) {
        found = order[i].begin < written || (order[i].written && order[i].begin < read);
        uintptr_t *end = order[i].written ? &written : &read;
        if (order[i].end > *end) *end = order[i].end;
    }
    free(all);
    return found;
}

typedef struct {
    const Batch *batch;
    const Scalars *scalars;
    Kernel *kernel;
} Job;

/* Blocks [begin, end) of all rows. */
static void work(int64_t begin, int64_t end, void *context) {
    const Job *job = context;
    const Row *rows = job->batch->rows;
    Py_ssize_t low = 0, high = job->batch->count; /* the last row that begins at or before `begin` */
    while (high - low > 1) {
        const Py_ssize_t middle = (low + high) / 2;
        if (rows[middle].first_block <= begin)
            low = middle;
        else
            high = middle;
    }
    for (const Row *row = rows + low; begin < end; row++) {
        const int64_t after = row->first_block + blocks_of(row->numel);
        const int64_t stop = after < end ? after : end;
        if (stop > begin)
            job->kernel(row, &job->scalars[row->slot], begin - row->first_block,
                        stop - row->first_block);
        begin = stop > begin ? stop : begin;
    }
}

static int parse_scalars(PyObject *tuple, Scalars *c) {
    if (tuple == NULL) return -1; /* someone's __float__ emptied the list */
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "scalars must be tuples");
        return -1;
    }
    Py_INCREF(tuple);
    const int parsed =
        PyArg_ParseTuple(tuple, "ddddddddddddddppp", &c->grad_scale, &c->coupled_decay, &c->keep,
                            &c->beta1, &c->one_minus_beta1, &c->beta2, &c->one_minus_beta2, &c->eps,
                            &c->outer_eps, &c->direction_scale, &c->step_size, &c->clip_update,
                            &c->low, &c->high, &c->coupled, &c->amsgrad, &c->adaptive);
    Py_DECREF(tuple);
    return parsed ? 0 : -1;
}

PyDoc_STRVAR(run_doc,
             "run(scalars, kernel, /) -> bool\n\n"
             "One step of all rows, each with the scalars of its slot (Coefficients.packed says which), in\n"
             "one parallel region. False, and nothing has changed, if written arrays overlap. Only once.");

static Kernel *kernel_named(const char *name) {
    const Kernels fastest = choose_kernels(0), baseline = choose_kernels(1);
    if (strcmp(name, "traffic") == 0) return fastest.traffic;
    if (strcmp(name, "") == 0 || strcmp(name, fastest.name) == 0) return fastest.step;
    if (strcmp(name, baseline.name) == 0) return baseline.step;
    PyErr_Format(PyExc_ValueError, "kernel must be '', '%s', '%s' or 'traffic', got '%s'",
                 fastest.name, baseline.name, name);
    return NULL;
}

static PyObject *run(Batch *self, PyObject *args) {
    PyObject *list;
    const char *name;
    if (!PyArg_ParseTuple(args, "O!s", &PyList_Type, &list, &name)) return NULL;
    Kernel *kernel = kernel_named(name);
    if (kernel == NULL) return NULL;
    const Py_ssize_t slots = PyList_Size(list);
    if (slots != self->slots) {
        PyErr_Format(PyExc_ValueError, "scalars must have %d slots, got %zd", self->slots, slots);
        return NULL;
    }
    if (strcmp(name, "traffic") == 0)
        for (Py_ssize_t i = 0; i < self->count; i++) {
            const Row *row = &self->rows[i];
            if (row->param_dtype != FLOAT32 || row->grad_dtype != FLOAT32 ||
                row->state_dtype != STATE_WIDE) {
                PyErr_SetString(PyExc_ValueError, "the traffic kernel takes float32 only");
                return NULL;
            }
        }
    if (!enter(self)) return NULL;
    Scalars *scalars = calloc((size_t)slots + 1, sizeof *scalars);
    PyObject *result = NULL;
    if (scalars == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < slots; i++)
        if (parse_scalars(PyList_GetItem(list, i), &scalars[i]) < 0) goto done;
    for (Py_ssize_t i = 0; i < self->count; i++)
        if (self->rows[i].numel > 0 &&
            !scalars[self->rows[i].slot].amsgrad != !self->rows[i].max_exp_avg_var) {
            PyErr_SetString(PyExc_ValueError, "amsgrad must be as the rows were gathered");
            goto done;
        }
    const int overlap = overlapping(self);
    if (overlap != 0) {
        result = overlap < 0 ? PyErr_NoMemory() : PyBool_FromLong(0);
        goto done;
    }
    int64_t total = 0;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        self->rows[i].first_block = total;
        total += blocks_of(self->rows[i].numel);
        if (self->rows[i].step != NULL) *self->rows[i].step += 1;
    }
    self->done = 1;
    Job job = {self, scalars, kernel};
    if (total > 0 && in_parallel(total, GRAIN, work, &job) != 0) {
        PyErr_SetString(PyExc_RuntimeError, "torch_parallel_for failed");
        goto done;
    }
    result = PyBool_FromLong(1);
done:
    self->busy = 0;
    free(scalars);
    return result;
}

PyDoc_STRVAR(params_doc, "params() -> list\n\nThe parameters of all rows.");

static PyObject *params(Batch *self, PyObject *unused) {
    (void)unused;
    PyObject *list = PyList_New(self->count);
    for (Py_ssize_t i = 0; list != NULL && i < self->count; i++) {
        Py_INCREF(self->held[i][PARAM]);
        PyList_SetItem(list, i, self->held[i][PARAM]);
    }
    return list;
}

static void dealloc(Batch *self) {
    PyTypeObject *type = Py_TYPE(self);
    shrink(self, 0);
    free(self->rows);
    free(self->held);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMethodDef batch_methods[] = {
    {"gather", (PyCFunction)(void (*)(void))gather, METH_VARARGS, gather_doc},
    {"append", (PyCFunction)(void (*)(void))append, METH_VARARGS, append_doc},
    {"run", (PyCFunction)(void (*)(void))run, METH_VARARGS, run_doc},
    {"params", (PyCFunction)(void (*)(void))params, METH_NOARGS, params_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot batch_slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, batch_methods},
    {Py_tp_doc, "The rows of one step; see kernels/cpu.py."},
    {0, NULL},
};

static PyType_Spec batch_spec = {
    .name = "adabelief.kernels._cpu.Batch",
    .basicsize = sizeof(Batch),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = batch_slots,
};

static PyObject *isa(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    return PyUnicode_FromString(choose_kernels(0).name);
}

static PyMethodDef module_methods[] = {
    {"connect", connect_torch, METH_VARARGS,
     "connect(Tensor, Parameter, exchange_api, parallel_for, /): what is needed of torch."},
    {"isa", isa, METH_NOARGS, "isa() -> str\n\nThe instruction set that is used here."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_cpu", "The step as one C kernel; see kernels/cpu.py.", -1,
    module_methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__cpu(void) {
    PyObject *made = PyModule_Create(&module);
    PyObject *type = made == NULL ? NULL : PyType_FromSpec(&batch_spec);
    if (type == NULL || intern_names() < 0 || PyModule_AddObject(made, "Batch", type) < 0) {
        Py_XDECREF(type);
        Py_XDECREF(made);
        return NULL;
    }
    return made;
}
