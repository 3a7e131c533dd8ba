/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/host_copy_mpi.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_support.h"

struct host_copy_mpi {
    MPI_Datatype type; /* of the strided side */
    char *dst;
    char *src;
    int nbytes;
    bool packs; /* else it unpacks */
};

bool host_copy_mpi_start(char *out_version, size_t size)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    if (MPI_Init(NULL, NULL) != MPI_SUCCESS || MPI_Get_library_version(version, &length) != MPI_SUCCESS) {
        return false;
    }
    version[strcspn(version, "\n")] = '\0';
    size_t kept = strlen(version) < size ? strlen(version) : size - 1;
    memcpy(out_version, version, kept);
    out_version[kept] = '\0';
    return true;
}

void host_copy_mpi_end(void)
{
    MPI_Finalize();
}

static bool is_contiguous(const host_copy_case *one, const int64_t *strides)
{
    int64_t expected = 1;
    for (int32_t k = one->ndim - 1; k >= 0; k--) {
        if (one->shape[k] != 1 && strides[k] != expected) {
            return false;
        }
        expected *= one->shape[k];
    }
    return true;
}

/* Replaces a type by another one that is made of it. */
static bool replace(MPI_Datatype *type, int status, MPI_Datatype made)
{
    if (status != MPI_SUCCESS) {
        return false;
    }
    MPI_Type_free(type);
    *type = made;
    return true;
}

static bool make_type(const host_copy_case *one, const int64_t *strides, MPI_Datatype *type)
{
    MPI_Datatype made = MPI_DATATYPE_NULL;
    MPI_Datatype item = one->itemsize == 16  ? MPI_C_DOUBLE_COMPLEX
                        : one->itemsize == 8 ? MPI_INT64_T
                        : one->itemsize == 4 ? MPI_INT32_T
                        : one->itemsize == 2 ? MPI_INT16_T
                                             : MPI_BYTE;
    int nitems = item == MPI_BYTE ? (int)one->itemsize : 1;
    if (MPI_Type_contiguous(nitems, item, type) != MPI_SUCCESS) {
        return false;
    }
    for (int32_t k = one->ndim - 1; k >= 0; k--) {
        MPI_Aint stride = (MPI_Aint)(strides[k] * one->itemsize);
        int status = MPI_Type_create_hvector((int)one->shape[k], 1, stride, *type, &made);
        if (!replace(type, status, made)) {
            return false;
        }
    }
    return MPI_Type_commit(type) == MPI_SUCCESS;
}

host_copy_mpi *host_copy_mpi_create(const host_copy_case *one, void *dst, void *src)
{
    bool packs = is_contiguous(one, one->dst_strides);
    if (!packs && !is_contiguous(one, one->src_strides)) {
        return NULL;
    }
    host_copy_mpi *peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return NULL;
    }
    peer->type = MPI_DATATYPE_NULL;
    peer->packs = packs;
    peer->dst = (char *)dst + one->dst_offset * one->itemsize;
    peer->src = (char *)src + one->src_offset * one->itemsize;
    peer->nbytes = (int)one->nbytes;
    if (!make_type(one, packs ? one->src_strides : one->dst_strides, &peer->type)) {
        host_copy_mpi_destroy(peer);
        return NULL;
    }
    return peer;
}

void host_copy_mpi_destroy(host_copy_mpi *peer)
{
    if (peer != NULL) {
        if (peer->type != MPI_DATATYPE_NULL) {
            MPI_Type_free(&peer->type);
        }
        free(peer);
    }
}

bool host_copy_mpi_time(const host_copy_mpi *peer, long count, double *out_ns)
{
    double start = bench_now_ns();
    for (long i = 0; i < count; i++) {
        int position = 0;
        int status = peer->packs
                         ? MPI_Pack(peer->src, 1, peer->type, peer->dst, peer->nbytes, &position, MPI_COMM_SELF)
                         : MPI_Unpack(peer->src, peer->nbytes, &position, peer->dst, 1, peer->type, MPI_COMM_SELF);
        if (status != MPI_SUCCESS) {
            return false;
        }
    }
    *out_ns = (bench_now_ns() - start) / (double)count;
    return true;
}
