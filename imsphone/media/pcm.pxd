"""Samples of an array, for C: the one place where an array's memory is touched, and lighter than memory views, whose
code would be compiled into every module."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer


cdef inline short *samples_in(object array, bint is_written=False) except? NULL:
    """The first sample of a contiguous array of int16; good as long as the array lives. Raises where it is not one."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE | (PyBUF_WRITABLE if is_written else 0))
    cdef short *samples = <short *> view.buf
    cdef Py_ssize_t itemsize = view.itemsize
    PyBuffer_Release(&view)
    if itemsize != sizeof(short):
        raise ValueError(f"samples are 16 bits, not {8 * itemsize}")
    return samples
