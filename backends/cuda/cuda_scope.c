/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

/* Both are set back before the last error is read by anybody: what fails here is told by the call itself. */
static ndbuf_status scope_begin(const cuda_place *place, cuda_scope *scope, ndbuf_error *err)
{
    const cuda_api *api = place->api;
    int current = -1;
    *scope = (cuda_scope){.api = api, .previous = -1, .mode = cudaStreamCaptureModeRelaxed};
    CUDA_TRY(api->cudaGetDevice(&current), err);
    if (current != place->ordinal) {
        CUDA_TRY(api->cudaSetDevice(place->ordinal), err);
        scope->previous = current;
    }
    CUDA_TRY(api->cudaThreadExchangeStreamCaptureMode(&scope->mode), err);
    scope->has_mode = true;
    return NDBUF_OK;
}

ndbuf_status ndbuf_cuda__enter(const cuda_place *place, cuda_scope *out_scope, ndbuf_error *err)
{
    if (ndbuf_cuda__is_child()) {
        const cuda_api *api = NULL;
        return ndbuf_cuda__api_open(&api, err); /* which tells why not */
    }
    ndbuf_status status = scope_begin(place, out_scope, err);
    if (status != NDBUF_OK) {
        ndbuf_cuda__leave(out_scope);
    }
    return status;
}

bool ndbuf_cuda__enter_to_undo(const cuda_place *place, cuda_scope *out_scope)
{
    if (ndbuf_cuda__is_child()) {
        return false;
    }
    if (ndbuf_cuda__enter(place, out_scope, NULL) != NDBUF_OK) {
        *out_scope = (cuda_scope){.api = place->api, .previous = -1};
    }
    return true;
}

void ndbuf_cuda__leave(const cuda_scope *scope)
{
    const cuda_api *api = scope->api;
    enum cudaStreamCaptureMode mode = scope->mode;
    if (scope->has_mode) {
        CUDA_UNDO(api->cudaThreadExchangeStreamCaptureMode(&mode));
    }
    if (scope->previous >= 0) {
        CUDA_UNDO(api->cudaSetDevice(scope->previous));
    }
}
