/* Between Python's objects and the table's structures. */

#include "convert.h"

#include <arpa/inet.h>
#include <string.h>

bool read_address(PyObject *pair, address *into) {
    const char *host;
    int number;
    if (!PyArg_ParseTuple(pair, "si:address", &host, &number))
        return false;
    *into = (address){0};
    if (inet_pton(AF_INET, host, &into->v4.sin_addr) == 1) {
        into->v4.sin_family = AF_INET;
        into->v4.sin_port = htons((uint16_t)number);
    } else if (inet_pton(AF_INET6, host, &into->v6.sin6_addr) == 1) {
        into->v6.sin6_family = AF_INET6;
        into->v6.sin6_port = htons((uint16_t)number);
    } else {
        PyErr_Format(PyExc_ValueError, "no IP address: %s", host);
        return false;
    }
    return true;
}

static PyObject *address_object(const address *one) {
    char text[INET6_ADDRSTRLEN];
    bool is_6 = one->any.sa_family == AF_INET6;
    inet_ntop(one->any.sa_family, is_6 ? (const void *)&one->v6.sin6_addr : (const void *)&one->v4.sin_addr, text,
              sizeof text);
    return Py_BuildValue("(si)", text, ntohs(is_6 ? one->v6.sin6_port : one->v4.sin_port));
}

bool read_hop(PyObject *object, hop *into) {
    unsigned long long number;
    PyObject *target;
    if (object == Py_None)
        return true;
    if (!PyArg_ParseTuple(object, "KO:hop", &number, &target))
        return false;
    into->port = number;
    return read_address(target, &into->target);
}

/* A table of bytes, the outgoing payload types, and one of their clocks, four bytes each. */
bool read_payloads(PyObject *object, route *into) {
    const uint8_t *numbers, *clocks;
    Py_ssize_t number_bytes, clock_bytes;
    if (object == Py_None)
        return true;
    if (!PyArg_ParseTuple(object, "y#y#:payloads", &numbers, &number_bytes, &clocks, &clock_bytes))
        return false;
    if (number_bytes != sizeof into->payloads || clock_bytes != sizeof into->clocks_hz) {
        PyErr_SetString(PyExc_ValueError, "payload table of another size");
        return false;
    }
    into->mapped = true;
    memcpy(into->payloads, numbers, sizeof into->payloads);
    memcpy(into->clocks_hz, clocks, sizeof into->clocks_hz);
    return true;
}

PyObject *counters_object(const counters *taken) {
    PyObject *trip = taken->round_trip_ms < 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(taken->round_trip_ms);
    return Py_BuildValue("(KKLdNdKI)", (unsigned long long)taken->packets, (unsigned long long)taken->octets,
                         (long long)taken->lost, taken->jitter_ms, trip, taken->silent_s,
                         (unsigned long long)taken->dropped, (unsigned)taken->overflowed);
}

PyObject *as_list(event *first) {
    PyObject *list = PyList_New(0);
    while (first) {
        event *one = first;
        first = one->next;
        if (list) {
            PyObject *source = address_object(&one->source);
            PyObject *item = source ? Py_BuildValue("(KNy#O)", one->port, source, one->data, (Py_ssize_t)one->length,
                                                    one->proven ? Py_True : Py_False)
                                    : NULL;
            if (!item || PyList_Append(list, item) < 0)
                Py_CLEAR(list);
            Py_XDECREF(item);
        }
        free(one);
    }
    return list;
}
