/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BENCH_HOST_COPY_MPI_H
#define NDBUF_BENCH_HOST_COPY_MPI_H

/* MPI as a peer of bench_host_copy: MPI_Pack of a nest of hvectors where the destination is contiguous, MPI_Unpack
 * where the source is. A library of its own, so that nothing else needs MPI. */

#include <stdbool.h>
#include <stddef.h>

#include "bench/host_copy_case.h"

typedef struct host_copy_mpi host_copy_mpi;

/* Starts MPI, with this process alone in it, and writes the library's name and version. */
bool host_copy_mpi_start(char *out_version, size_t size);
void host_copy_mpi_end(void);

/* Makes the type of a case between two buffers, which the caller keeps. NULL: both sides are strided, or a call failed.
 */
host_copy_mpi *host_copy_mpi_create(const host_copy_case *one, void *dst, void *src);
void host_copy_mpi_destroy(host_copy_mpi *peer);

/* Copies `count` times; writes the nanoseconds of one. False: a call failed. */
bool host_copy_mpi_time(const host_copy_mpi *peer, long count, double *out_ns);

#endif
