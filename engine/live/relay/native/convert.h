/* Between Python's objects and the table's structures; what returns false or NULL has set an exception. */

#ifndef SIPTWIN_CONVERT_H
#define SIPTWIN_CONVERT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "table.h"

bool read_address(PyObject *pair, address *into);
bool read_hop(PyObject *object, hop *into);
bool read_payloads(PyObject *object, route *into);

PyObject *counters_object(const counters *taken);

/* Frees the events. */
PyObject *as_list(event *first);

#endif
