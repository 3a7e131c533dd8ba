/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting means done, even where the driver's wait fails: it may return early, for want of resources, and what is still
 * under way uses memory that the caller lets go of next. */
#include "backends/opencl/opencl_backend.h"

#include <time.h>

/* Between two looks at a command that cannot be waited for. */
#define OPENCL_POLL_NS 100000

/* Starts a command, as a wait for it does. */
static void start(const opencl_api *api, cl_event event)
{
    cl_command_queue queue = NULL;
    if (api->clGetEventInfo(event, CL_EVENT_COMMAND_QUEUE, sizeof(cl_command_queue), &queue, NULL) == CL_SUCCESS &&
        queue != NULL) {
        api->clFlush(queue);
    }
}

static bool is_under_way(const opencl_api *api, cl_event event)
{
    cl_int state = CL_COMPLETE;
    return api->clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state), &state, NULL) == CL_SUCCESS &&
           state > CL_COMPLETE;
}

cl_int ndbuf_opencl__await(const opencl_api *api, cl_event event)
{
    const struct timespec pause = {.tv_nsec = OPENCL_POLL_NS};
    cl_int code = api->clWaitForEvents(1, &event);
    if (code == CL_SUCCESS || code == CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST) {
        return code;
    }
    start(api, event);
    while (is_under_way(api, event)) {
        nanosleep(&pause, NULL);
    }
    return code;
}

/* By a marker, whose state can be asked for. Where the driver takes no command any more, a second try is all there is.
 */
cl_int ndbuf_opencl__finish(const opencl_api *api, cl_command_queue queue)
{
    cl_event behind = NULL;
    cl_int code = api->clFinish(queue);
    if (code == CL_SUCCESS) {
        return code;
    }
    if (api->clEnqueueMarkerWithWaitList(queue, 0, NULL, &behind) == CL_SUCCESS) {
        ndbuf_opencl__await(api, behind);
        api->clReleaseEvent(behind);
    } else {
        api->clFinish(queue);
    }
    return code;
}
