/* The native loop as Python sees it: `Forwarder`, wrapped by ../native_forwarder.py. */

#include "convert.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#define SK_MEMINFO_DROPS 8
#define SK_MEMINFO_VARS 9

typedef struct {
    PyObject_HEAD
    table table;
} forwarder;

/* --- the table --- */

/* Nobody waits for the interpreter while the table is locked: that would hold up the loop. So what is between `enter`
 * and `leave` touches no Python. */
static PyThreadState *enter(table *table) {
    PyThreadState *mine = PyEval_SaveThread();
    lock_table(table);
    return mine;
}

static void leave(table *table, PyThreadState *mine) {
    unlock_table(table);
    PyEval_RestoreThread(mine);
}

static counters take_counters(port *port) {
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof info;
    getsockopt(port->fd, SOL_SOCKET, SO_MEMINFO, info, &size);
    counters taken = {
        .packets = port->packets, .octets = port->octets, .dropped = port->dropped, .lost = port->lost,
        .jitter_ms = port->jitter_s * 1000.0, .round_trip_ms = port->round_trip_ms,
        .silent_s = now_s() - port->heard_at, .overflowed = info[SK_MEMINFO_DROPS] - port->known_drops};
    port->packets = port->octets = port->dropped = 0;
    port->lost = 0;
    port->round_trip_ms = -1.0;
    port->known_drops = info[SK_MEMINFO_DROPS];
    return taken;
}

/* Take a port out of the table; whoever has it then owns it. */
static port *pull(table *table, uint64_t number) {
    PyThreadState *mine = enter(table);
    port *gone = find_port(table, number);
    if (gone) {
        uint32_t slot = number & 0xFFFFFF;
        table->slots[slot] = NULL;
        table->free_slots[table->free_count++] = slot;
    }
    leave(table, mine);
    return gone;
}

static PyObject *missing(uint64_t number) {
    PyErr_Format(PyExc_KeyError, "%llu", (unsigned long long)number);
    return NULL;
}

static bool grow(table *table) {
    uint32_t before = table->slot_count, after = before ? 2 * before : 64;
    port **slots = realloc(table->slots, after * sizeof *slots);
    if (!slots)
        return false;
    table->slots = slots;
    uint32_t *free_slots = realloc(table->free_slots, after * sizeof *free_slots);
    if (!free_slots)
        return false;
    table->free_slots = free_slots;
    for (uint32_t slot = after - 1; slot >= before && slot > 0; slot--) {   /* slot 0 stays unused */
        slots[slot] = NULL;
        free_slots[table->free_count++] = slot;
    }
    slots[0] = NULL;
    table->slot_count = after;
    return true;
}

static PyObject *forwarder_add(forwarder *self, PyObject *args) {
    table *table = &self->table;
    int fd;
    if (!PyArg_ParseTuple(args, "i:add", &fd))
        return NULL;
    port *new = calloc(1, sizeof *new);
    if (!new)
        return PyErr_NoMemory();
    new->fd = fd;
    new->heard_at = now_s();
    new->round_trip_ms = -1.0;
    PyThreadState *mine = enter(table);
    if (!table->free_count && !grow(table)) {
        leave(table, mine);
        free(new);
        return PyErr_NoMemory();
    }
    uint32_t slot = table->free_slots[--table->free_count];
    new->number = ++table->generation << 24 | slot;
    table->slots[slot] = new;
    leave(table, mine);
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLET, .data.u64 = new->number};
    if (epoll_ctl(table->epoll_fd, EPOLL_CTL_ADD, fd, &wanted) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        free(pull(table, new->number));
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(new->number);
}

static PyObject *forwarder_remove(forwarder *self, PyObject *args) {
    table *table = &self->table;
    unsigned long long number;
    if (!PyArg_ParseTuple(args, "K:remove", &number))
        return NULL;
    port *gone = pull(table, number);
    if (!gone)
        return missing(number);
    counters taken = take_counters(gone);
    close(gone->fd);
    forget_held(gone);
    free(gone->route);
    free(gone);
    return counters_object(&taken);
}

static PyObject *forwarder_counters(forwarder *self, PyObject *args) {
    unsigned long long number;
    counters taken;
    if (!PyArg_ParseTuple(args, "K:counters", &number))
        return NULL;
    PyThreadState *mine = enter(&self->table);
    port *port = find_port(&self->table, number);
    if (port)
        taken = take_counters(port);
    leave(&self->table, mine);
    return port ? counters_object(&taken) : missing(number);
}

static PyObject *forwarder_secure(forwarder *self, PyObject *args) {
    unsigned long long number, receive, send;
    int locked;
    PyObject *peer;
    address from = {0};
    if (!PyArg_ParseTuple(args, "KpKKO:secure", &number, &locked, &receive, &send, &peer))
        return NULL;
    if (peer != Py_None && !read_address(peer, &from))
        return NULL;
    PyThreadState *mine = enter(&self->table);
    port *port = find_port(&self->table, number);
    if (port) {
        port->locked = locked;
        port->has_peer = peer != Py_None;
        port->peer = from;
        reset_way(&port->receive, (void *)(uintptr_t)receive);
        reset_way(&port->send, (void *)(uintptr_t)send);
        take_held(&self->table, port, now_s());
    }
    leave(&self->table, mine);
    if (!port)
        return missing(number);
    Py_RETURN_NONE;
}

static PyObject *forwarder_route(forwarder *self, PyObject *args) {
    unsigned long long number;
    PyObject *sources, *rtp, *rtcp, *payloads;
    int detour;
    if (!PyArg_ParseTuple(args, "KO!OOOp:route", &number, &PyTuple_Type, &sources, &rtp, &rtcp, &payloads, &detour))
        return NULL;
    size_t count = (size_t)PyTuple_GET_SIZE(sources);
    route *new = calloc(1, sizeof *new + count * sizeof(address));
    if (!new)
        return PyErr_NoMemory();
    bool good = read_hop(rtp, &new->rtp) && read_hop(rtcp, &new->rtcp) && read_payloads(payloads, new);
    for (size_t i = 0; good && i < count; i++)
        good = read_address(PyTuple_GET_ITEM(sources, i), &new->source[i]);
    if (!good) {
        free(new);
        return NULL;
    }
    new->sources = (unsigned)count;
    new->detour = detour;
    PyThreadState *mine = enter(&self->table);
    port *port = find_port(&self->table, number);
    if (port) {
        route *before = port->route;
        if (!before)
            port->heard_at = now_s();
        port->route = new;
        new = before;
        drop_unasked(&self->table, port);
    }
    leave(&self->table, mine);
    free(new);
    if (!port)
        return missing(number);
    Py_RETURN_NONE;
}

static PyObject *forwarder_unroute(forwarder *self, PyObject *args) {
    unsigned long long number;
    if (!PyArg_ParseTuple(args, "K:unroute", &number))
        return NULL;
    PyThreadState *mine = enter(&self->table);
    port *port = find_port(&self->table, number);
    route *before = port ? port->route : NULL;
    if (port)
        port->route = NULL;
    leave(&self->table, mine);
    free(before);
    if (!port)
        return missing(number);
    Py_RETURN_NONE;
}

static PyObject *forwarder_send(forwarder *self, PyObject *args) {
    unsigned long long number;
    PyObject *target;
    const char *data;
    Py_ssize_t length;
    int kind;
    address to;
    _Alignas(16) uint8_t copy[ROOM];
    if (!PyArg_ParseTuple(args, "KOy#i:send", &number, &target, &data, &length, &kind) || !read_address(target, &to))
        return NULL;
    if (length > MOST_BYTES)
        Py_RETURN_FALSE;
    memcpy(copy, data, (size_t)length);
    PyThreadState *mine = enter(&self->table);
    port *out = find_port(&self->table, number);
    bool sent = out && send_packet(&self->table, out, &to, copy, (int)length, (enum kind)kind, now_s());
    self->table.forwarded += sent && kind != PLAIN;
    leave(&self->table, mine);
    return PyBool_FromLong(sent);
}

static PyObject *forwarder_totals(forwarder *self, PyObject *Py_UNUSED(args)) {
    table *table = &self->table;
    PyThreadState *mine = enter(table);
    unsigned long long received = table->received, forwarded = table->forwarded, dropped = table->dropped;
    unsigned long long shed = table->shed, unsent = table->unsent, unqueued = table->unqueued;
    leave(table, mine);
    return Py_BuildValue("(KKKKKK)", received, forwarded, dropped, shed, unsent, unqueued);
}

/* --- queues --- */

static event *take_first(queue *queue, unsigned most) {
    event *first = queue->first, *last = NULL;
    for (; most && queue->first; most--, queue->count--) {
        last = queue->first;
        queue->first = last->next;
    }
    if (!queue->first)
        queue->last = NULL;
    if (!last)
        return NULL;
    last->next = NULL;
    return first;
}

static PyObject *forwarder_take(forwarder *self, PyObject *args) {
    table *table = &self->table;
    unsigned most;
    eventfd_t value;
    if (!PyArg_ParseTuple(args, "I:take", &most))
        return NULL;
    pthread_mutex_lock(&table->queue_lock);
    event *first = take_first(&table->queues[ENGINE], most);
    if (!table->queues[ENGINE].count)
        eventfd_read(table->engine_fd, &value);
    pthread_mutex_unlock(&table->queue_lock);
    return as_list(first);
}

static PyObject *forwarder_wait(forwarder *self, PyObject *args) {
    table *table = &self->table;
    int name;
    double timeout_s;
    event *first;
    if (!PyArg_ParseTuple(args, "id:wait", &name, &timeout_s))
        return NULL;
    double end = now_s() + timeout_s;
    struct timespec until = {(time_t)end, (long)((end - (double)(time_t)end) * 1e9)};
    queue *queue = &table->queues[name];
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&table->queue_lock);
    while (!queue->count && !queue->woken && !atomic_load(&table->ended))
        if (pthread_cond_timedwait(&queue->filled, &table->queue_lock, &until) == ETIMEDOUT)
            break;
    queue->woken = false;
    first = take_first(queue, queue->count);
    pthread_mutex_unlock(&table->queue_lock);
    Py_END_ALLOW_THREADS
    return as_list(first);
}

static PyObject *forwarder_wake(forwarder *self, PyObject *args) {
    table *table = &self->table;
    int name;
    if (!PyArg_ParseTuple(args, "i:wake", &name))
        return NULL;
    pthread_mutex_lock(&table->queue_lock);
    table->queues[name].woken = true;
    pthread_cond_broadcast(&table->queues[name].filled);
    pthread_mutex_unlock(&table->queue_lock);
    Py_RETURN_NONE;
}

static PyObject *forwarder_fileno(forwarder *self, PyObject *Py_UNUSED(args)) {
    return PyLong_FromLong(self->table.engine_fd);
}

/* --- life --- */

static void close_file(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void end(table *table) {
    atomic_store(&table->ended, true);
    pthread_mutex_lock(&table->queue_lock);
    for (int i = 0; i < QUEUES; i++)
        pthread_cond_broadcast(&table->queues[i].filled);
    pthread_mutex_unlock(&table->queue_lock);
    if (table->running) {
        eventfd_write(table->stop_fd, 1);
        pthread_join(table->thread, NULL);
        table->running = false;
    }
    for (uint32_t slot = 0; slot < table->slot_count; slot++)
        if (table->slots[slot]) {
            close(table->slots[slot]->fd);
            forget_held(table->slots[slot]);
            free(table->slots[slot]->route);
            free(table->slots[slot]);
            table->slots[slot] = NULL;
        }
    close_file(&table->epoll_fd);
    close_file(&table->stop_fd);
    close_file(&table->engine_fd);
}

static PyObject *forwarder_stop(forwarder *self, PyObject *Py_UNUSED(args)) {
    Py_BEGIN_ALLOW_THREADS
    end(&self->table);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static void forwarder_dealloc(forwarder *self) {
    table *table = &self->table;
    Py_BEGIN_ALLOW_THREADS
    end(table);
    Py_END_ALLOW_THREADS
    for (int i = 0; i < QUEUES; i++) {
        event *first = take_first(&table->queues[i], table->queues[i].count);
        while (first) {
            event *next = first->next;
            free(first);
            first = next;
        }
        pthread_cond_destroy(&table->queues[i].filled);
    }
    pthread_mutex_destroy(&table->queue_lock);
    pthread_mutex_destroy(&table->lock);
    free(table->slots);
    free(table->free_slots);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *forwarder_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    double gather_s, late_s;
    int niceness;
    unsigned most_events, strangers_per_s;
    unsigned long long protect, protect_rtcp, unprotect, unprotect_rtcp, forget;
    if (!PyArg_ParseTuple(args, "ddiIIKKKKK:Forwarder", &gather_s, &late_s, &niceness, &most_events,
                          &strangers_per_s, &protect, &protect_rtcp, &unprotect, &unprotect_rtcp, &forget))
        return NULL;
    forwarder *self = (forwarder *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    table *table = &self->table;
    table->gather_s = gather_s;
    table->late_s = late_s;
    table->niceness = niceness;
    table->most_events = most_events;
    table->strangers_per_s = strangers_per_s;
    table->protect = (transform)(uintptr_t)protect;
    table->protect_rtcp = (transform)(uintptr_t)protect_rtcp;
    table->unprotect = (transform)(uintptr_t)unprotect;
    table->unprotect_rtcp = (transform)(uintptr_t)unprotect_rtcp;
    table->forget = (forgetter)(uintptr_t)forget;
    pthread_mutex_init(&table->lock, NULL);
    pthread_mutex_init(&table->queue_lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    for (int i = 0; i < QUEUES; i++)
        pthread_cond_init(&table->queues[i].filled, &clock);
    pthread_condattr_destroy(&clock);
    table->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    table->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    table->engine_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event stop = {.events = EPOLLIN, .data.u64 = 0};
    if (table->epoll_fd < 0 || table->stop_fd < 0 || table->engine_fd < 0 ||
        epoll_ctl(table->epoll_fd, EPOLL_CTL_ADD, table->stop_fd, &stop) < 0 ||
        (errno = pthread_create(&table->thread, NULL, run_loop, table)) != 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return NULL;
    }
    table->running = true;
    return (PyObject *)self;
}

static PyMethodDef methods[] = {
    {"add", (PyCFunction)forwarder_add, METH_VARARGS, NULL},
    {"remove", (PyCFunction)forwarder_remove, METH_VARARGS, NULL},
    {"counters", (PyCFunction)forwarder_counters, METH_VARARGS, NULL},
    {"secure", (PyCFunction)forwarder_secure, METH_VARARGS, NULL},
    {"route", (PyCFunction)forwarder_route, METH_VARARGS, NULL},
    {"unroute", (PyCFunction)forwarder_unroute, METH_VARARGS, NULL},
    {"send", (PyCFunction)forwarder_send, METH_VARARGS, NULL},
    {"totals", (PyCFunction)forwarder_totals, METH_NOARGS, NULL},
    {"take", (PyCFunction)forwarder_take, METH_VARARGS, NULL},
    {"wait", (PyCFunction)forwarder_wait, METH_VARARGS, NULL},
    {"wake", (PyCFunction)forwarder_wake, METH_VARARGS, NULL},
    {"fileno", (PyCFunction)forwarder_fileno, METH_NOARGS, NULL},
    {"stop", (PyCFunction)forwarder_stop, METH_NOARGS, NULL},
    {0},
};

static PyTypeObject forwarder_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "engine.live.relay._native.Forwarder",
    .tp_basicsize = sizeof(forwarder),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = forwarder_new,
    .tp_dealloc = (destructor)forwarder_dealloc,
    .tp_methods = methods,
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_native", .m_size = -1};

PyMODINIT_FUNC PyInit__native(void) {
    PyObject *made = PyModule_Create(&module);
    if (made && (PyModule_AddType(made, &forwarder_type) < 0 || PyModule_AddIntMacro(made, INTERFACE) < 0))
        Py_CLEAR(made);
    return made;
}
