# SPDX-License-Identifier: BSD-3-Clause
# NumPy's arrays in memory that stays: kept.h as NumPy's allocator.

from cpython.pycapsule cimport PyCapsule_New

cdef extern from "kept.h" nogil:
    void* borrow "logreg_borrow"(size_t)
    void give_back "logreg_give_back"(void*)

cdef extern from "kept.h":
    enum:
        LOGREG_LEAST_KEPT
    void* logreg_array_malloc(void*, size_t)
    void* logreg_array_calloc(void*, size_t, size_t)
    void* logreg_array_realloc(void*, void*, size_t)
    void logreg_array_free(void*, void*, size_t)

cdef extern from *:
    """
    static PyDataMem_Handler logreg_allocator = {
        "logreg_c", 1,
        {NULL, logreg_array_malloc, logreg_array_calloc, logreg_array_realloc, logreg_array_free}
    };
    """
    cnp.PyDataMem_Handler logreg_allocator

# Bytes of the least piece that is kept.
LEAST_KEPT = LOGREG_LEAST_KEPT

# What NumPy knows the allocator by. Arrays keep it, so that any of them may outlive a fit.
ALLOCATOR = PyCapsule_New(&logreg_allocator, "mem_handler", NULL)


def allocate_by(allocator):
    """Have NumPy take the memory of its further arrays from an allocator, for this thread and
    context, and return the one it took it from. NULL stands for NumPy's own."""
    return cnp.PyDataMem_SetHandler(allocator)
